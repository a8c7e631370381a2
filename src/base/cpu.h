/*
 * Features of the processor that have kernels of their own. Thread-safe.
 */
#ifndef NR_CPU_H
#define NR_CPU_H

enum nr_cpu {
    NR_CPU_AVX2 = 1 << 0,   /* with BMI1, BMI2, LZCNT, POPCNT */
    NR_CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL, VBMI, VBMI2; with NR_CPU_AVX2 */
    NR_CPU_NEON = 1 << 2,
};

#define NR_CPU_ALL ((unsigned)(NR_CPU_AVX2 | NR_CPU_AVX512 | NR_CPU_NEON))

/* What this machine has. cmd/ narrows it by NR_CPU=<mask> of the environment
 * (cli_cpu()); a variant that is masked out is never run. */
unsigned nr_cpu_flags(void);

#endif
