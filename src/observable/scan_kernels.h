/* The variants of nr_scan() by bitmaps; each is built for its instructions and
 * must only be called where nr_cpu_flags() has them. */
#ifndef NR_OBSERVABLE_SCAN_KERNELS_H
#define NR_OBSERVABLE_SCAN_KERNELS_H

#include "observable/observable.h"

enum nr_err nr_scan_avx2(struct nr_bytes block, struct nr_tokens *out);
enum nr_err nr_scan_avx512(struct nr_bytes block, struct nr_tokens *out);
enum nr_err nr_scan_neon(struct nr_bytes block, struct nr_tokens *out);

#endif
