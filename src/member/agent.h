/*
 * The agent's inside: a supervisor and two confined children.
 *
 *   supervisor  holds the lock, starts and restarts the others, resolves
 *               the hub's name in a child of its own
 *   keeper      reads logs, archive and inbox, answers, fills the outbox;
 *               owns no socket and cannot make one
 *   courier     speaks with the hub, fills the inbox, empties the outbox;
 *               cannot open a log, the archive or the answers
 *
 * Keeper and courier wake each other by one octet through a pipe that was
 * made before they were confined. What is to be done stands in directories,
 * so an octet lost or doubled, or a process killed, changes nothing.
 */
#ifndef NR_MEMBER_AGENT_H
#define NR_MEMBER_AGENT_H

#include "archive/seal.h"
#include "member/answers.h"
#include "member/member.h"

#include <sys/types.h>

#define NR_AGENT_MEMORY  ((size_t)16 << 20)  /* configuration, membership */
#define NR_INGEST_S      INT64_C(60)         /* default of "ingest" */
#define NR_SOURCES_MAX   ((size_t)4096)      /* files followed at once */
#define NR_BUNDLE_MAX    ((size_t)64 << 20)  /* octets of an inbox file */
#define NR_BATCH_MAX     ((size_t)1000)      /* answers of one outbox item */
#define NR_LOG_MAX       ((off_t)16 << 20)   /* HOME/log is set aside past it */
#define NR_WORK_MEMORY   ((size_t)512 << 20) /* one batch of answers */
#define NR_EXIT_AGAIN    4 /* courier: resolve the name anew, start me */
#define NR_EXIT_CONFINED 5 /* the sandbox was refused: do not try again */

struct nr_indicator; /* watchlist/watchlist.h */
struct nr_answer;    /* archive/archive.h */
struct nr_standing;  /* archive/standing.h */
struct nr_archive;   /* archive/archive.h */

struct nr_agent {
    const char *home;
    const struct nr_env *env;
    bool dry_run, without_landlock;
    struct nr_arena arena;
    struct nr_config config;
    struct nr_membership m;
    bool literal;      /* the hub's address needs no look-up */
    char resolve[600]; /* for struct nr_http_conf; "" when literal */
    int lock_fd, log_fd;
    int to_courier[2], to_keeper[2]; /* pipes: read end, write end */
    int pid_fd;                      /* of a child: its pid file */
    const char *role;
    struct nr_standing *standing; /* the keeper's; NULL: none could be opened,
                                     all is asked of all segments */
    struct nr_archive *archive;   /* while all is asked again; else NULL */
    const char **source_dirs; /* NULL-terminated; what the keeper may read */
};

/* Append one line to HOME/log. */
void nr_agent_log(const struct nr_agent *ag, const char *fmt, ...)
    NR_PRINTF(2, 3);
void nr_agent_log_diag(const struct nr_agent *ag, const struct nr_diag *d);

/* Milliseconds of a clock for intervals. */
int64_t nr_agent_clock_ms(void);

/* Wake the reader of a pipe; read all octets that wait in one. */
void nr_agent_wake(int fd);
void nr_agent_drain(int fd);

/* Write "PID ROLE" to the pid file opened before: the sign that the process
 * is confined. */
void nr_agent_announce(const struct nr_agent *ag);

/* The bodies of the children: confine themselves, then work. They return an
 * exit status. */
int nr_keeper_main(struct nr_agent *ag);
int nr_courier_main(struct nr_agent *ag);

/* --- keeper: the standing hunt (standing.c) --- */

/* Open HOME/standing. Without it, said in the log, the agent works as well,
 * and slower. */
void nr_stand_open(struct nr_agent *ag);
void nr_stand_close(struct nr_agent *ag);

/* The home's archive as it is now; nr_archive_close. */
enum nr_err nr_stand_archive(struct nr_agent *ag, struct nr_archive **out,
    struct nr_diag *d) NR_MUST_USE;

/* *KEY: NULL, or OUT with the key that the home's archive, sealed, needs; to be
 * wiped. */
enum nr_err nr_agent_key(const struct nr_agent *ag, const char *archive,
    struct nr_archive_key *out, const struct nr_archive_key **key,
    struct nr_diag *d) NR_MUST_USE;

/* The answers of V[0..n) from it. */
enum nr_err nr_stand_hunt(struct nr_agent *ag, struct nr_archive *archive,
    struct nr_arena *a, const struct nr_indicator *const *v, size_t n,
    struct nr_answer *out, struct nr_diag *d) NR_MUST_USE;

/* Around a round in which all that stands is asked: the archive stays open.
 * What was not asked in a whole ROUND stands no longer. */
enum nr_err nr_stand_begin(struct nr_agent *ag, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_stand_end(struct nr_agent *ag, bool round,
    struct nr_diag *d) NR_MUST_USE;

/* --- keeper: answering (compose.c) --- */

struct nr_json;

/* One indicator object to be answered, with the values it names. */
struct nr_case {
    struct nr_str id, version, collection;
    const struct nr_json *object; /* of the inbox; NULL when asked again */
    int64_t version_us;
    bool revoked;
    size_t first, n; /* its values: entries[first .. first + n) */
};

struct nr_batch {
    struct nr_case *cases;
    size_t n_cases;
    const struct nr_indicator **entries;
    size_t n_entries;
    struct nr_answer *answers; /* one for each entry */
    bool only_changes; /* an answer that stands already is not repeated */
};

/*
 * Hunt the entries of B over the home's archive, append the answers to LOG,
 * put what may leave into the outbox. *SENT: something is pending.
 */
enum nr_err nr_answer_batch(struct nr_agent *ag, struct nr_answer_log *log,
    struct nr_arena *a, struct nr_batch *b, bool *sent,
    struct nr_diag *d) NR_MUST_USE;

/* Make the outbox item of the last batch if a crash kept it from being. */
enum nr_err nr_answer_recover(struct nr_agent *ag, struct nr_answer_log *log,
    bool *sent, struct nr_diag *d) NR_MUST_USE;

/* --- keeper: inbox and standing answers (intake.c) --- */

/* Answer the indicators of the inbox file NAME and put it away. A file that is
 * no bundle is named in the log and put away. D is not NULL. */
enum nr_err nr_intake_file(struct nr_agent *ag, struct nr_answer_log *log,
    const char *name, bool *sent, struct nr_diag *d) NR_MUST_USE;

/* Ask the archive again about every indicator that stands. */
enum nr_err nr_intake_again(struct nr_agent *ag, struct nr_answer_log *log,
    bool *sent, struct nr_diag *d) NR_MUST_USE;

/* --- keeper: upkeep of the archive (upkeep.c) --- */

/* Retention once a day, as the configuration says; one merge of small segments
 * at a time. Both when nothing else waits. */
struct nr_upkeep {
    bool due, keep; /* something is to be looked at; retention too */
    int64_t next_day_ms, not_before_ms;
};

void nr_upkeep_open(struct nr_upkeep *u);
/* Milliseconds until nr_upkeep_run() has something to do. */
int nr_upkeep_timeout(const struct nr_upkeep *u);
void nr_upkeep_run(struct nr_agent *ag, struct nr_upkeep *u);

/* --- keeper: sources (sources.c) --- */

struct nr_sources {
    int inotify;                   /* -1: look every second instead */
    uint64_t stamp, archive_stamp; /* what the last look saw */
    bool grown, archive_changed;
    int64_t next_ingest_ms, next_look_ms;
    int64_t every_ms; /* between two ingests */
};

/* Begin to follow; never fails, at worst it looks every second. */
void nr_sources_open(const struct nr_agent *ag, struct nr_sources *s);
/* Milliseconds until nr_sources_run() has something to do; -1: an event. */
int nr_sources_timeout(const struct nr_sources *s);
/* See what changed, ingest what grew. *CHANGED: the archive is another. */
void nr_sources_run(const struct nr_agent *ag, struct nr_sources *s,
    bool *changed);
/* Directories that hold the sources of the configuration; NULL-terminated,
 * arena-owned. */
enum nr_err nr_sources_dirs(const struct nr_config *c, const char *home,
    struct nr_arena *a, const char ***out, struct nr_diag *d) NR_MUST_USE;

#endif
