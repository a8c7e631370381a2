#include "base/mem.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void
nr_mem_large(void *p, size_t n)
{
#ifdef MADV_HUGEPAGE
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t mask = page > 0 ? (uintptr_t)page - 1 : 0;
    size_t skip = (size_t)(-(uintptr_t)p & mask);

    if (!p || n < NR_MEM_LARGE || mask == 0)
        return;
    n = (n - skip) & ~mask;
    (void)madvise((char *)p + skip, n, MADV_HUGEPAGE);
#else
    (void)p;
    (void)n;
#endif
}
