/* The systemd journal by way of journalctl(1). Private to the room. */
#ifndef NR_RECEIVER_JOURNAL_H
#define NR_RECEIVER_JOURNAL_H

#include "base/arena.h"
#include "receiver/pipe.h"

/* Run journalctl; *FD is its output, close-on-exec and non-blocking. NR_ENOTFOUND: there is no such
 * program; NR_ESYS; NR_EFORMAT: the cursor holds control characters. */
enum nr_err nr_journal_start(const struct nr_receiver_conf *conf, int *fd,
    pid_t *pid, struct nr_diag *d) NR_MUST_USE;

/*
 * Append the line of one entry, as journalctl -o json prints it, to B; *CURSOR
 * (empty: none) is borrowed from A and JSON. NR_EFORMAT: no entry; NR_ENOMEM.
 */
enum nr_err nr_journal_line(struct nr_arena *a, struct nr_bytes json,
    size_t max, struct nr_buf *b, struct nr_str *cursor, bool *cut) NR_MUST_USE;

struct nr_journal_reader {
    struct nr_buf entry;   /* begun */
    struct nr_arena arena; /* of one entry */
    bool skipping;         /* the rest of one that is too long */
    uint32_t origin;
    size_t max; /* octets of a message */
    char cursor[NR_RECEIVER_CURSOR_MAX];
};

void nr_journal_init(struct nr_journal_reader *j, size_t max);
void nr_journal_fini(struct nr_journal_reader *j);
/* Octets of journalctl's output become frames of lines in OUT. */
void nr_journal_take(struct nr_journal_reader *j, struct nr_bytes in,
    struct nr_pipe_out *out, struct nr_receiver_stats *s);

#endif
