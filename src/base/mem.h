/* Large memory. Thread-safe. */
#ifndef NR_MEM_H
#define NR_MEM_H

#include <stddef.h>

#define NR_MEM_LARGE ((size_t)4 << 20) /* octets from which it is worth it */

/* The N octets at P, soon to be written all over, may stand in large pages:
 * they are there at a fraction of the cost, and found in the processor's table
 * of pages. Only a hint: no failure, nothing where the system has none. Less
 * than NR_MEM_LARGE stays as it is; P may be NULL. */
void nr_mem_large(void *p, size_t n);

#endif
