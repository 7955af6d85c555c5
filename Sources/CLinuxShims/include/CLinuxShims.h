#ifndef CLINUXSHIMS_H
#define CLINUXSHIMS_H
// What Glibc, as Swift imports it, lacks. Header-only: a call costs nothing.
#include <errno.h>
static inline int ctlab_errno(void) { return errno; }
#include "CLinuxNamespaces.h"
#include "CLinuxSignals.h"
#include "CLinuxSockets.h"
#endif
