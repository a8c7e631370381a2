/* The limit of rows per indicator and disposition, and their roll-ups. */
#ifndef NR_ALERT_ROLL_H
#define NR_ALERT_ROLL_H

#include "alert/map.h"
#include "alert/sink.h"

struct alert_roll {
    struct alert_map map; /* of struct entry, by kind, disposition and key */
    struct nr_buf key;
    uint64_t rate;
    int64_t interval_us;
    size_t held_octets;
    uint64_t held; /* hits that no roll-up has told yet */
    /* Where rows go on. */
    enum nr_err (*row)(void *ctx, const struct alert_row *r, struct nr_diag *d);
    void *ctx;
};

enum nr_err alert_roll_init(struct alert_roll *l,
    const struct nr_alert_conf *conf, struct nr_diag *d) NR_MUST_USE;
void alert_roll_fini(struct alert_roll *l);

/* R goes on as it is, or is held back. */
enum nr_err alert_roll_hit(struct alert_roll *l, const struct alert_row *r,
    int64_t now_us, struct nr_diag *d) NR_MUST_USE;
/* End the intervals that are over; with ALL, all of them. */
enum nr_err alert_roll_tick(struct alert_roll *l, int64_t now_us, bool all,
    struct nr_diag *d) NR_MUST_USE;

void alert_roll_save(const struct alert_roll *l, struct nr_buf *state);
enum nr_err alert_roll_load(struct alert_roll *l, struct nr_bytes state,
    struct nr_diag *d) NR_MUST_USE;

#endif
