#ifndef CLINUXSIGNALS_H
#define CLINUXSIGNALS_H
#include <signal.h>
#include <sys/signalfd.h>
// A descriptor that becomes readable when one of the signals comes.
static inline int ctlab_signal_descriptor(const sigset_t *signals) {
    return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
}
#endif
