/*
 * Member: an organisation's home, what may leave it, its hub, its agent.
 *
 * The home is a directory; its parts are named below, everything that is
 * written appears whole (fsync and rename) and is private to its user. The
 * network is spoken by this room alone: nr_http_* is the client, the courier
 * (agent) and the commands use it.
 *
 * Thread-safety: one thread at a time per object; several processes may work
 * on one home where a function says so.
 */
#ifndef NR_MEMBER_H
#define NR_MEMBER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the home -------------------------------------------------------- */

/* Parts, relative to the home. */
#define NR_HOME_CONFIG    "config"
#define NR_HOME_LOCK      "lock" /* held by the agent */
#define NR_HOME_IDENTITY  "identity.key"
#define NR_HOME_HUB       "hub" /* address hub.pem key member.json state */
#define NR_HOME_INBOX     "inbox"
#define NR_HOME_DONE      "inbox/done"
#define NR_HOME_OUTBOX    "outbox"
#define NR_HOME_WATCHLIST "watchlist" /* hub.nrw: compiled from the hub */
#define NR_HOME_ARCHIVE   "archive"
#define NR_HOME_ANSWERS   "answers.jsonl"
#define NR_HOME_STANDING  "standing" /* archive/standing.h */
#define NR_HOME_LOG       "log"
#define NR_HOME_RUN       "run" /* supervisor.pid keeper.pid courier.pid */

#define NR_CONFIG_MAX       ((size_t)1 << 20) /* octets of the config file */
#define NR_CONFIG_LINES_MAX ((size_t)10000)   /* settings in it */

/*
 * Make the home DIR with its directories, a commented config and an Ed25519
 * identity. What exists stays as it is: running it twice is harmless.
 * nr_crypto_init() must have been called. NR_ESYS.
 */
enum nr_err nr_home_init(const char *dir, const struct nr_env *env,
    struct nr_diag *d) NR_MUST_USE;

/* NR_ENOTFOUND, saying what to do, when DIR is no home. */
enum nr_err nr_home_check(const char *dir, struct nr_diag *d) NR_MUST_USE;

/* "key = value" in the order of the file; a key may come several times. */
struct nr_setting {
    struct nr_str key, value;
    size_t line; /* from 1 */
};

struct nr_config {
    struct nr_setting *v;
    size_t n;
};

/* Parse IN: one setting a line, '#' starts a comment line, blanks around key
 * and value are off. NR_EFORMAT (with the offset of the line): no '=', an
 * empty or unknown key, a value out of its set; NR_ELIMIT. Views into IN. */
enum nr_err nr_config_parse(struct nr_arena *a, struct nr_bytes in,
    struct nr_config *out, struct nr_diag *d) NR_MUST_USE;

/* Parse DIR/config; a missing file is an empty configuration. */
enum nr_err nr_config_read(struct nr_arena *a, const char *dir,
    struct nr_config *out, struct nr_diag *d) NR_MUST_USE;

/* The last value of KEY; false: not set. */
bool nr_config_get(const struct nr_config *c, struct nr_str key,
    struct nr_str *out);

/* What keep, keep.KIND and keep-size say of the archive on day TODAY; false:
 * nothing, all is kept. */
struct nr_keep_rule; /* archive/keep.h */
bool nr_config_keep(const struct nr_config *c, int64_t today,
    struct nr_keep_rule *out);

/* The next value of KEY at or after *AT, which moves on; false: no more. */
bool nr_config_next(const struct nr_config *c, struct nr_str key, size_t *at,
    struct nr_str *out);

/* --- what may leave --------------------------------------------------- */

enum nr_share {
    NR_SHARE_AUTO,  /* sent when it is made */
    NR_SHARE_ASK,   /* held until `noroshi outbox send` */
    NR_SHARE_NEVER, /* answered in the home only */
};

const char *nr_share_name(enum nr_share s);

/* "share.COLLECTION", else "share", else auto. */
enum nr_share nr_share_of(const struct nr_config *c, struct nr_str collection);

/* --- outbox ------------------------------------------------------------
 * HOME/outbox/BOX/ID.json, one request each:
 * {"kind":"answers","id":ID,"method":"POST","path":"/v1/answers","body":{..}}
 * The body is sent octet for octet as it stands there. */

#define NR_ITEM_MAX    ((size_t)16 << 20) /* octets of one item's file */
#define NR_ITEM_ID_MAX ((size_t)64)       /* octets of an id with NUL */
#define NR_BOX_MAX     ((size_t)1 << 20)  /* items of one box */
#define NR_SENT_KEPT   ((size_t)1000)     /* items kept in the box "sent" */

enum nr_box {
    NR_BOX_PENDING, /* to be sent as soon as the hub answers */
    NR_BOX_HELD,    /* waits for a word of its owner */
    NR_BOX_SENT,    /* acknowledged by the hub */
    NR_BOX_DROPPED, /* refused by its owner, kept as a record */
    NR_BOXES,
};

const char *nr_box_name(enum nr_box b);

struct nr_item {
    struct nr_str kind, id, method, path;
    struct nr_bytes body; /* JSON text */
};

/* Put ITEM into BOX, durably, unless an item of this id is in any box: then
 * NR_OK too, and nothing changes. NR_ESYS, NR_ENOMEM, NR_EFORMAT (an id of
 * other characters than [A-Za-z0-9-]). */
enum nr_err nr_outbox_put(const char *home, enum nr_box box,
    const struct nr_item *item, struct nr_diag *d) NR_MUST_USE;

/* Ids in BOX, in the order of their octets; arena-owned. */
enum nr_err nr_outbox_list(struct nr_arena *a, const char *home,
    enum nr_box box, struct nr_names *out, struct nr_diag *d) NR_MUST_USE;

/* Which box holds ID. NR_ENOTFOUND. */
enum nr_err nr_outbox_find(const char *home, const char *id, enum nr_box *box,
    struct nr_diag *d) NR_MUST_USE;

/* Read and check; OUT points into A. NR_EDAMAGED: not an item. */
enum nr_err nr_outbox_read(struct nr_arena *a, const char *home,
    enum nr_box box, const char *id, struct nr_item *out,
    struct nr_diag *d) NR_MUST_USE;

/* Durable rename between boxes. NR_ENOTFOUND: not in FROM. */
enum nr_err nr_outbox_move(const char *home, const char *id, enum nr_box from,
    enum nr_box to, struct nr_diag *d) NR_MUST_USE;

/* --- HTTP client (libcurl) --------------------------------------------- */

#define NR_HTTP_CONNECT_S  10L                /* to be connected */
#define NR_HTTP_REQUEST_S  120L               /* for a whole exchange */
#define NR_HTTP_STALL_S    30L                /* without an octet in it */
#define NR_HTTP_SILENCE_S  45L                /* of an event stream: 3 beats */
#define NR_HTTP_BODY_MAX   ((size_t)64 << 20) /* octets of an answer, default */
#define NR_HTTP_HEADER_MAX ((size_t)128)      /* octets kept of a header */
#define NR_PIN_MAX         ((size_t)64)       /* octets of a pin with NUL */

struct nr_http;

struct nr_http_conf {
    const char *base;    /* "https://HOST:PORT", no slash at the end */
    const char *ca_file; /* PEM; NULL: only the pin speaks (joining) */
    const char *pin;     /* base64 of SHA-256 of the SPKI; NULL: none */
    const char *bearer;  /* NULL: no authorization */
    const char *resolve; /* "HOST:PORT:ADDR[,ADDR]" found before; or NULL */
};

/* Once a process, before a sandbox. NR_ESYS. */
enum nr_err nr_http_init(struct nr_diag *d) NR_MUST_USE;

/* CONF's strings are copied. The connection is kept for the next request. */
enum nr_err nr_http_create(const struct nr_http_conf *conf,
    struct nr_http **out, struct nr_diag *d) NR_MUST_USE;
void nr_http_destroy(struct nr_http *h); /* NULL is allowed */

struct nr_http_request {
    const char *method; /* "GET", "POST" */
    const char *path;   /* from the first slash, with its query */
    const char *type;   /* of the body; NULL: application/json */
    const char *accept; /* NULL: application/json */
    struct nr_bytes body;
    size_t max; /* octets of the answer; 0: NR_HTTP_BODY_MAX */
};

struct nr_http_response {
    long status; /* 100..599 */
    struct nr_buf body;
    int64_t retry_after_s;               /* 0: not said */
    char added_last[NR_HTTP_HEADER_MAX]; /* X-TAXII-Date-Added-Last or "" */
};

void nr_http_response_fini(struct nr_http_response *r);

/*
 * One exchange. NR_OK whatever the status; OUT (zeroed or used before by the
 * caller) is then the caller's to fini. NR_ESYS: no answer (refused, timed
 * out, wrong certificate), with curl's words; NR_ELIMIT: the answer is longer
 * than max.
 */
enum nr_err nr_http_exchange(struct nr_http *h,
    const struct nr_http_request *req, struct nr_http_response *out,
    struct nr_diag *d) NR_MUST_USE;

/* NR_OK for 2xx; else NR_EDENIED (401, 403), NR_ENOTFOUND (404), NR_EBUSY
 * (429, 5xx) or NR_EFORMAT, with title and description of the hub's error
 * message as name. */
enum nr_err nr_http_check(const struct nr_http_response *r,
    struct nr_diag *d) NR_MUST_USE;

/* One event of a stream (text/event-stream, HTML standard section 9.2). */
struct nr_http_event {
    struct nr_str event, data, id; /* "" where absent */
};

#define NR_HTTP_EVENT_MAX ((size_t)1 << 20) /* octets of one event */

/* Octets of a stream to events, whatever the size of the pieces. */
struct nr_events {
    struct nr_buf line, event, data, id;
    bool cr; /* the last octet was CR */
};

void nr_events_init(struct nr_events *e);
void nr_events_fini(struct nr_events *e);
/* Calls GOT for each event that IN completes. NR_ELIMIT, NR_ENOMEM. */
enum nr_err nr_events_feed(struct nr_events *e, struct nr_bytes in,
    void (*got)(void *ctx, const struct nr_http_event *ev),
    void *ctx) NR_MUST_USE;

/* Begin the event stream at PATH; one at a time per H. */
enum nr_err nr_http_stream_start(struct nr_http *h, const char *path,
    void (*got)(void *ctx, const struct nr_http_event *ev), void *ctx,
    struct nr_diag *d) NR_MUST_USE;
void nr_http_stream_stop(struct nr_http *h);

/*
 * Wait up to TIMEOUT_MS for the stream or for FD (-1: none) to have something,
 * and run the stream. *READABLE: FD has. NR_OK while the stream lives (or none
 * was started); else why it ended, as nr_http_exchange and nr_http_check.
 */
enum nr_err nr_http_wait(struct nr_http *h, int fd, int timeout_ms,
    bool *readable, struct nr_diag *d) NR_MUST_USE;

/* --- the hub ------------------------------------------------------------ */

/* "noroshi://HOST:PORT/?code=CODE&pin=PIN" taken apart, NUL-terminated. */
struct nr_hub_address {
    char host[256]; /* without brackets */
    char port[8];
    char code[128];       /* "" in a stored address */
    char pin[NR_PIN_MAX]; /* standard base64 */
    char base[300];       /* "https://HOST:PORT" */
};

/* NR_EFORMAT, saying which part. */
enum nr_err nr_hub_address_parse(struct nr_str text, struct nr_hub_address *out,
    struct nr_diag *d) NR_MUST_USE;

/* What the hub said about this member when it joined (HOME/hub/). */
struct nr_collection {
    struct nr_str id, title;
    bool can_read, can_write;
};

struct nr_membership {
    struct nr_hub_address address;
    struct nr_str member; /* "identity--UUID", the pseudonym */
    struct nr_str key;    /* bearer: secret */
    struct nr_str expires, sector, size, role, hub;
    const struct nr_collection *collections;
    size_t n_collections;
};

/* Join the hub at ADDRESS with the home's identity and store what it says.
 * NR_EEXIST: the home has a hub already; else as nr_http_exchange. */
#define NR_CLOCK_SKEW_MAX_S INT64_C(300) /* between hub and member, unsaid */
/* *SKEW_S: seconds that the hub's clock is ahead of ENV's; 0 if not said. */
enum nr_err nr_member_join(const char *home, struct nr_str address,
    const struct nr_env *env, int64_t *skew_s, struct nr_diag *d) NR_MUST_USE;

/* Arena-owned. NR_ENOTFOUND, saying what to do: not joined. */
enum nr_err nr_membership_read(struct nr_arena *a, const char *home,
    struct nr_membership *out, struct nr_diag *d) NR_MUST_USE;

/* A client for the home's hub, with its pin, certificate and key. RESOLVE as
 * in struct nr_http_conf. */
enum nr_err nr_member_http(const char *home, const struct nr_membership *m,
    const char *resolve, struct nr_http **out, struct nr_diag *d) NR_MUST_USE;

/* --- answers -------------------------------------------------------------
 * HOME/answers.jsonl: one JSON object a line, appended and synced before
 * anything is sent; the last line of an indicator stands. The members of a
 * line are listed in doc/architecture.md. */

#define NR_ANSWER_LINE_MAX ((size_t)1 << 20) /* octets of one line */
#define NR_ANSWER_WORDS    5

/* I < NR_ANSWER_WORDS: "seen", "denied", "not-seen", "cannot-say",
 * "revoked". */
const char *nr_answer_word(int i);

struct nr_answer_counts {
    size_t n[NR_ANSWER_WORDS]; /* indicators by their standing answer */
};

/* NR_EDAMAGED names the line that is none of ours; a last line without line
 * feed (a write cut short) is passed over. No file: all zero. */
enum nr_err nr_answers_count(const char *home, struct nr_answer_counts *out,
    struct nr_diag *d) NR_MUST_USE;

/* --- the agent ----------------------------------------------------------- */

struct nr_agent_conf {
    const char *home;
    const struct nr_env *env;
    bool dry_run;          /* answers are held, nothing is sent */
    bool without_landlock; /* --sandbox=seccomp */
};

/*
 * Run supervisor, keeper and courier until SIGTERM or SIGINT. Returns in the
 * supervisor only. NR_EBUSY: another agent has this home; NR_ENOTFOUND: no
 * home, no hub, or no Landlock. nr_crypto_init() comes first.
 */
enum nr_err nr_agent_run(const struct nr_agent_conf *conf,
    struct nr_diag *d) NR_MUST_USE;

/* Is an agent running on HOME? *PID is its supervisor's. */
bool nr_agent_running(const char *home, int64_t *pid);

/* Let a running agent look at its outbox at once; nothing if none runs. */
void nr_agent_nudge(const char *home);

#endif
