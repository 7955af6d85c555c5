#ifndef CLINUXSIGNALS_H
#define CLINUXSIGNALS_H
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
// A descriptor that becomes readable when one of the signals comes.
static inline int ctlab_signal_descriptor(const sigset_t *signals) {
    return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Whether SIGHUP is ignored, as nohup leaves it to what it starts.
static inline int ctlab_ignores_hangup(void) {
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
#endif
