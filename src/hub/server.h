/*
 * The serving process: connections, requests, replies. Private to the room.
 *
 * Threads: libmicrohttpd's workers run the handlers; one writer commits; the
 * thread of nr_hub_serve() keeps time for the event streams. A request that
 * writes is suspended until its commit is durable, so that no worker waits for
 * a disk and many requests share one fsync.
 */
#ifndef NR_HUB_SERVER_H
#define NR_HUB_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "hub/admin.h"
#include "hub/gate.h"
#include "hub/writer.h"
#include "json/json.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define NR_PARTS_MAX   ((size_t)8) /* segments of a path */
#define NR_HEADERS_MAX ((size_t)6) /* headers of a reply */
#define NR_RATE_SLOTS  ((size_t)8192)
#define NR_LOGIN_SLOTS ((size_t)256)
#define NR_TAXII       "application/taxii+json;version=2.1"
#define NR_JSON_MEDIA  "application/json"

struct nr_pool {
    pthread_mutex_t lock;
    pthread_cond_t free;
    struct nr_db *v;
    bool *used;
    size_t n;
};

struct nr_rate_slot {
    int64_t key, at_us;
    double tokens;
};

struct nr_login_slot {
    uint8_t hash[32];
    int64_t member;
    bool used;
};

struct nr_metrics {
    atomic_uint_fast64_t requests[6]; /* by hundreds of the status */
    atomic_uint_fast64_t facts, joins;
    atomic_int_fast64_t active, streams;
};

struct nr_stream;

struct nr_server {
    const struct nr_hub_serve *conf;
    const struct nr_env *env;
    struct MHD_Daemon *mhd;
    struct nr_pool pool;
    struct nr_writer writer;
    struct nr_metrics metrics;
    struct nr_str title, cert;
    struct nr_arena arena; /* of title and cert */
    atomic_size_t bodies;  /* octets of all bodies in memory */
    atomic_bool closing;
    char db_path[NR_PATH_MAX];
    uint8_t salt[32]; /* of the cache of logins */

    pthread_mutex_t lock; /* what follows */
    struct nr_rate_slot *rates;
    struct nr_login_slot *logins;

    pthread_mutex_t hashing; /* one argon2id at a time: 64 MiB each */

    pthread_mutex_t stream_lock; /* what follows */
    struct nr_stream *streams;
    uint64_t generation[2]; /* commits of shared facts; of any */
};

struct nr_request;

/* What may be asked. */
struct nr_route {
    const char *method;
    const char *path; /* segments; "*" stands for any one */
    void (*run)(struct nr_request *q);
    unsigned scope; /* 0: no key needed */
    bool taxii;
};

struct nr_request {
    struct nr_server *server;
    struct MHD_Connection *conn;
    const struct nr_route *route;
    struct nr_str part[NR_PARTS_MAX];
    size_t n_parts;
    struct nr_arena arena;
    struct nr_buf body;
    size_t body_counted; /* of server->bodies */
    struct nr_reader reader;
    bool run, waiting, replied;

    /* A write: run in the writer, then FINISH makes the reply. */
    struct nr_write write;
    void (*finish)(struct nr_request *q);
    void *state; /* of the handler, in ARENA */
    bool shared; /* wrote what ordinary readers may see */

    unsigned status; /* 0: not yet known */
    const char *media;
    struct nr_buf reply;

    struct {
        const char *name;
        char value[160];
    } header[NR_HEADERS_MAX];

    size_t n_headers;
    struct MHD_Response *stream; /* instead of REPLY */
};

/* --- replies (reply.c) ----------------------------------------------- */

/* A TAXII error message (TAXII 2.1 section 3.6.1). */
void nr_reply_error(struct nr_request *q, unsigned status, const char *title,
    const char *description);
/* By what a function said. */
void nr_reply_fail(struct nr_request *q, enum nr_err err,
    const struct nr_diag *d);
void nr_reply_header(struct nr_request *q, const char *name, const char *value);
/* Begin and end a JSON reply. */
void nr_reply_open(struct nr_request *q, struct nr_json_out *o);
void nr_reply_close(struct nr_request *q, struct nr_json_out *o,
    unsigned status);
/* NULL: not given. */
const char *nr_query_value(struct nr_request *q, const char *name);

/* --- surroundings ---------------------------------------------------- */

enum nr_err nr_pool_init(struct nr_pool *p, const char *path, size_t n,
    struct nr_diag *d) NR_MUST_USE;
void nr_pool_fini(struct nr_pool *p);
struct nr_db *nr_pool_get(struct nr_pool *p);
void nr_pool_put(struct nr_pool *p, struct nr_db *db);

/* Who asks; false when a reply (401, 403, 429) was made. */
bool nr_auth(struct nr_request *q) NR_MUST_USE;

/* Parse the whole body as JSON; NULL when a reply was made. */
const struct nr_json *nr_request_json(struct nr_request *q);

/* Hand RUN to the writer; FINISH replies when it is durable. */
void nr_request_write(struct nr_request *q,
    enum nr_err (*run)(struct nr_write *w, struct nr_db *db, struct nr_diag *d),
    void (*finish)(struct nr_request *q));
struct nr_request *nr_request_of(struct nr_write *w);

/* --- handlers -------------------------------------------------------- */

void nr_get_hub(struct nr_request *q);
void nr_get_health(struct nr_request *q);
void nr_get_metrics(struct nr_request *q);
void nr_post_join(struct nr_request *q);
void nr_post_answers(struct nr_request *q);
void nr_post_reports(struct nr_request *q);
void nr_get_extent(struct nr_request *q);
void nr_get_events(struct nr_request *q);

void nr_taxii_discovery(struct nr_request *q);
void nr_taxii_root(struct nr_request *q);
void nr_taxii_status(struct nr_request *q);
void nr_taxii_collections(struct nr_request *q);
void nr_taxii_collection(struct nr_request *q);
void nr_taxii_manifest(struct nr_request *q);
void nr_taxii_objects(struct nr_request *q);
void nr_taxii_post(struct nr_request *q);
void nr_taxii_object(struct nr_request *q);
void nr_taxii_versions(struct nr_request *q);

/* --- event streams (events.c) ---------------------------------------- */

/* Something was committed: SHARED when ordinary readers may see some of it. */
void nr_events_wake(struct nr_server *s, bool shared);
/* Every stream looks again: for its heartbeat, or at its key. */
void nr_events_beat(struct nr_server *s, bool heartbeat);

#endif
