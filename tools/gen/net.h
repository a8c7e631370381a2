/*
 * The simulated internet: pools of names and addresses that grow as they are
 * used. An item's content depends on the seed and its number alone, so two
 * organisations with one seed share one internet.
 */
#ifndef GEN_NET_H
#define GEN_NET_H

#include "util.h"

/*
 * A pool hands out item numbers: mostly old ones by popularity, sometimes a
 * recent one, and a new one with a probability that falls as c/sqrt(size), so
 * that the number of distinct items seen after n draws grows like n^(2/3)
 * (Heaps' law). Item i's content depends on the seed and i alone, so two
 * organisations with the same seed share one internet.
 */
struct pool {
    uint32_t len, cap;
    double c;
    uint64_t p_new; /* threshold on 32 bits */
};

struct net {
    uint64_t seed;
    struct pool names; /* FQDNs */
    char **name;
    uint32_t *name_ip; /* index into addrs */
    struct pool regs;  /* registrable domains, drawn only when a name is made */
    char **reg;
    struct pool addrs; /* server and client addresses out there */
    uint32_t *addr;
};

void gen_pool_tune(struct pool *p);
char *gen_put_syl(char *o, uint64_t bits, int n);
void gen_addr_new(struct net *w);
void gen_name_new(struct net *w);
uint32_t gen_draw(struct net *w, struct pool *p, struct rng *r, uint64_t org,
    void (*make)(struct net *));

#endif
