/*
 * Indicators: canonical text, the set of all of them, and which of them an
 * observed value hits, by the rules of a match (tests/refmatch.py). One run
 * has one set.
 */
#ifndef GEN_IOC_H
#define GEN_IOC_H

#include "util.h"

enum kind {
    K_IPV4,
    K_CIDR,
    K_IPV6,
    K_DOMAIN,
    K_URL,
    K_MD5,
    K_SHA1,
    K_SHA256,
    K_EMAIL,
    K_COUNT
};

extern const char *const gen_kind_names[K_COUNT];

/* Collects the indicators that an observed value hits. */
struct hits {
    int n;

    struct {
        enum kind kind;
        char value[512];
    } hit[40];
};

int gen_kind_from_name(const char *s, size_t n);
bool gen_parse_ip4(const char *s, size_t n, uint32_t *out);
/*
 * Every indicator that the observed value `text` of kind `k` hits, by the
 * rules in README.md.
 */
void gen_hits_of(struct hits *h, enum kind k, const char *text);
bool gen_hits_any(enum kind k, const char *text);
bool gen_hits_any_ip4(uint32_t a);
/*
 * Adds one indicator to all; its canonical text goes to `out` (of 512 bytes).
 */
int gen_ioc_add(const char *kind, const char *value, char *out);
void gen_load_ioc_row(char **f, int n, void *arg);
uint64_t gen_ioc_hash(enum kind k, const char *s, size_t n);

/* How many indicators the set holds. */
size_t gen_ioc_count(void);

#endif
