#ifndef CMEMORYHINTS_H
#define CMEMORYHINTS_H
// What a program may tell the processor and the kernel about memory it is going to use. Hints
// change how long things take and nothing else. Header-only: a call would cost as much as it saves.
#include <stddef.h>
#include <sys/mman.h>

#include "CWideHash.h"

// Asks for the cache line that holds `address`; any address is safe.
static inline void ctlab_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }

// Asks for 2 MiB pages under a block: without them a large table spends half of each lookup on
// address translation. Kernels without huge pages refuse, which changes nothing.
static inline void ctlab_advise_huge_pages(void *base, size_t byte_count) {
    (void)madvise(base, byte_count, MADV_HUGEPAGE);
}
#endif
