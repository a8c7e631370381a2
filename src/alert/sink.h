/* Inside of the alert room: a row, and what an output must be able to do. */
#ifndef NR_ALERT_SINK_H
#define NR_ALERT_SINK_H

#include "alert/alert.h"

/* What outputs say of a hit, or of hits that were held back: then the members
 * are those of the last one, but for first_*. */
struct alert_row {
    uint64_t line, file_line;
    struct nr_bytes file;
    struct nr_indicator indicator;
    struct nr_bytes observed;
    int64_t time_us;
    unsigned action, source; /* enum nr_action, enum nr_source */
    uint8_t id[NR_HIT_ID];
    uint64_t count; /* 1, or hits that a roll-up stands for */
    bool rollup;
    uint64_t first_line;
    int64_t first_time_us;
};

/* The row of a hit; borrows what H does. */
struct alert_row alert_row_of(const struct nr_hit *h);

/* Octets that hold all of R, and back: views then point into IN. NR_EFORMAT,
 * NR_ETRUNC for octets that were not made by encode. */
void alert_row_encode(const struct alert_row *r, struct nr_buf *out);
enum nr_err alert_row_decode(struct nr_bytes in,
    struct alert_row *out) NR_MUST_USE;

/* Append R as a line. COUNTED: with the columns of a limit. */
void alert_put_tsv(const struct alert_row *r, bool iso, bool counted,
    struct nr_buf *out);
void alert_put_json(const struct alert_row *r, bool iso, struct nr_buf *out);

/* TEXT with control characters as '?', so that a name from a log cannot forge
 * a column or a line. */
void alert_put_field(struct nr_buf *out, struct nr_bytes text);

/* --- where the octets of rows go (out.c) --- */

struct alert_out;

enum nr_err alert_out_of_fd(int fd, const char *name, struct alert_out **out,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err alert_out_open(const char *path, struct alert_out **out,
    struct nr_diag *d) NR_MUST_USE;
void alert_out_close(struct alert_out *o); /* what is buffered is lost */
/* Rows enter whole; they are written when enough have gathered. */
enum nr_err alert_out_put(struct alert_out *o, struct nr_bytes row,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err alert_out_flush(struct alert_out *o, struct nr_diag *d) NR_MUST_USE;
/* Flush, fsync, and say to STATE how long it is now; back to that length. */
enum nr_err alert_out_save(struct alert_out *o, struct nr_buf *state,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err alert_out_load(struct alert_out *o, struct nr_bytes state,
    struct nr_diag *d) NR_MUST_USE;
bool alert_out_is_gone(const struct alert_out *o); /* EPIPE */

/* --- outputs --- */

struct alert_sink_ops {
    bool all; /* takes every hit; else rows as the limit lets them through */
    enum nr_err (
        *row)(void *self, const struct alert_row *r, struct nr_diag *d);
    enum nr_err (*tick)(void *self, struct nr_diag *d);
    enum nr_err (*finish)(void *self, struct nr_diag *d);
    /* NR_EBUSY: not now. LOAD gets what SAVE appended, or octets of another
     * output, which it passes over. NULL: nothing to save. */
    enum nr_err (*save)(void *self, struct nr_buf *state, struct nr_diag *d);
    enum nr_err (*load)(void *self, struct nr_bytes state, struct nr_diag *d);
    void (
        *count)(const void *self, struct nr_alert_counts *c); /* may be NULL */
    bool (*is_gone)(const void *self);                        /* may be NULL */
    void (*destroy)(void *self);
};

struct alert_sink {
    const struct alert_sink_ops *ops;
    void *self;
};

/* Takes OUT over, also on failure. CONF is borrowed. */
enum nr_err alert_sightings_create(const struct nr_alert_conf *conf,
    struct alert_out *out, struct alert_sink *sink,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err alert_syslog_create(const struct nr_alert_conf *conf,
    const char *address, struct alert_sink *sink,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err alert_command_create(const struct nr_alert_conf *conf,
    const char *command, struct alert_sink *sink,
    struct nr_diag *d) NR_MUST_USE;

#endif
