/*
 * noroshi watch: lines that arrive by syslog or from the journal.
 *
 * The receiving process is started before lists and secrets are in memory;
 * then it is one more source of the watch.
 */
#ifndef WATCH_RECV_H
#define WATCH_RECV_H

#include "cli.h"
#include "receiver/receiver.h"
#include "watch/watch.h"

struct watch_recv {
    struct cli *cli;
    /* options */
    struct cli_list syslog;
    const char *cert, *key, *ca, *journal_dir, *sandbox;
    bool journal;
    /* private */
    struct nr_receiver *r;
    char cursor[NR_RECEIVER_CURSOR_MAX];
};

/* Rows of the table of options, from V. */
#define WATCH_RECV_OPTIONS(v)                             \
    { "syslog", 0, CLI_LIST, &(v).syslog },               \
        { "tls-cert", 0, CLI_TEXT, &(v).cert },           \
        { "tls-key", 0, CLI_TEXT, &(v).key },             \
        { "tls-ca", 0, CLI_TEXT, &(v).ca },               \
        { "journal", 0, CLI_FLAG, &(v).journal },         \
        { "journal-dir", 0, CLI_TEXT, &(v).journal_dir }, \
    {                                                     \
        "sandbox", 0, CLI_TEXT, &(v).sandbox              \
    }

#define WATCH_RECV_USAGE                                                  \
    "       [--syslog udp://HOST:PORT|tcp://HOST:PORT|tls://HOST:PORT|\n" \
    "                 unix:///PATH|unix-stream:///PATH]...\n"             \
    "       [--tls-cert FILE --tls-key FILE [--tls-ca FILE]]\n"           \
    "       [--journal] [--journal-dir DIR] [--sandbox seccomp]"

/* Something of it is asked for. */
bool watch_recv_wanted(const struct watch_recv *v);

/*
 * Start it, if it is wanted, and say where it listens. FOLLOW: the journal is
 * followed. STATE: path of the watch's state file, which knows where in the
 * journal it was; NULL: none. False: a message was printed.
 */
bool watch_recv_start(struct watch_recv *v, bool follow,
    const char *state) NR_MUST_USE;

/* Make it a source of W. */
enum nr_err watch_recv_add(struct watch_recv *v, struct nr_watch *w,
    struct nr_diag *d) NR_MUST_USE;

/* Its counters to stderr, if there are any. */
void watch_recv_stats(const struct watch_recv *v);

void watch_recv_end(struct watch_recv *v);

#endif
