/*
 * Hub: the meeting place of a sharing circle.
 *
 * One append-only log of facts in one store; everything a reader is shown is
 * a fold over it, read through one gate (gate.h). This header is what cmd/ and
 * tests see: making and opening a hub's home, its members, serving it,
 * backing it up and checking it. What travels over the network is written out
 * in doc/hub-api.md; a summary stands at the end of this file.
 *
 * A hub's home: hub.db (the store, SQLite in WAL mode), hub.pem (certificate),
 * hub.key (its private key, mode 0600), lock (held while serving).
 *
 * Every function may be called from several processes on one home at a time;
 * a serving process sees members, keys and rights changed by another at once.
 * One struct nr_hub belongs to one thread; nr_hub_serve() makes its own.
 *
 * Errors of all functions that take D: NR_ESYS (the store refused; the text
 * says why: locked, read-only, disk full), NR_EBUSY (another process holds the
 * store for longer than NR_HUB_BUSY_MS, or serves this home), NR_EDAMAGED (not
 * a hub's store, or a store of a later version), NR_ENOMEM.
 */
#ifndef NR_HUB_H
#define NR_HUB_H

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- limits, each with its reason ------------------------------------ */

#define NR_HUB_BODY_MAX ((size_t)10 << 20) /* octets of one request's body */
/* Octets of all bodies in memory at once: beyond it 429 with Retry-After. */
#define NR_HUB_BODIES_MAX   ((size_t)256 << 20)
#define NR_HUB_OBJECTS_MAX  ((size_t)10000)     /* objects of one envelope */
#define NR_HUB_OBJECT_MAX   ((size_t)1 << 20)   /* octets of one object */
#define NR_HUB_ARENA_MAX    ((size_t)192 << 20) /* parsing one request */
#define NR_HUB_PAGE_MAX     ((size_t)1000)      /* objects of one page */
#define NR_HUB_PAGE_DEFAULT ((size_t)100)
#define NR_HUB_PAGE_OCTETS  ((size_t)32 << 20) /* a page ends early past it */
#define NR_HUB_FILTER_MAX   ((size_t)100)      /* values of one match[..] */
#define NR_HUB_CONNECTIONS  4096u              /* at once, all keys */
#define NR_HUB_STREAMS_KEY  8     /* event streams of one key at once */
#define NR_HUB_RATE         100   /* requests a second and key, sustained */
#define NR_HUB_RATE_BURST   10    /* seconds' worth that may come at once */
#define NR_HUB_IDLE_S       30u   /* a client silent in a request is cut */
#define NR_HUB_HEARTBEAT_S  15    /* of event streams */
#define NR_HUB_BUSY_MS      10000 /* wait for the store's write lock */
#define NR_HUB_INVITE_DAYS  14    /* a join code's life */
#define NR_HUB_KEY_DAYS     365   /* a joined member's key */
#define NR_HUB_STATUS_DAYS  1     /* a TAXII status resource's life */
#define NR_HUB_CLASS_MAX    ((size_t)64)   /* octets of sector and of size */
#define NR_HUB_NAME_MAX     ((size_t)200)  /* octets of names and titles */
#define NR_HUB_SECRET_MAX   ((size_t)1024) /* octets of a password */

/* --- roles and scopes ------------------------------------------------ */

enum nr_hub_role {
    NR_HUB_ROLE_MEMBER,
    NR_HUB_ROLE_BRIEFING, /* reads as a member does, for a government briefing */
    NR_HUB_ROLE_COORDINATOR, /* sector coordinator (ISAC) */
    NR_HUB_ROLE_CSIRT,       /* national CSIRT */
    NR_HUB_ROLE_POLICE,
    NR_HUB_ROLE_DEFENCE,
    NR_HUB_ROLES,
};

const char *nr_hub_role_name(enum nr_hub_role r);
bool nr_hub_role_from_name(struct nr_str s, enum nr_hub_role *out) NR_MUST_USE;

/* Coordinators, CSIRT, police and defence: they read answers singly, damage
 * halves and the full extent. */
bool nr_hub_role_is_authority(enum nr_hub_role r);

#define NR_SCOPE_READ  1u
#define NR_SCOPE_WRITE 2u
#define NR_SCOPE_ALL   3u

/* "read", "write", "read,write", "all". */
bool nr_scope_from_name(struct nr_str s, unsigned *out) NR_MUST_USE;

/* --- a home ---------------------------------------------------------- */

struct nr_hub;

struct nr_hub_init {
    const char *home;
    const char *title;        /* the hub's name; NULL: "noroshi hub" */
    const char *address;      /* HOST:PORT for join addresses; NULL: none yet */
    const char *const *hosts; /* further names of the certificate */
    size_t n_hosts;
    int64_t wall_s; /* the real clock: clients verify dates by theirs */
};

/* Make HOME (or fill an empty one) with a store, one collection and a
 * self-signed certificate. NR_EEXIST: a hub lives there. */
enum nr_err nr_hub_init(const struct nr_hub_init *conf,
    const struct nr_env *env, struct nr_diag *d) NR_MUST_USE;

/* NR_ENOTFOUND: no hub there. ENV must outlive *OUT. */
enum nr_err nr_hub_open(const char *home, const struct nr_env *env,
    struct nr_hub **out, struct nr_diag *d) NR_MUST_USE;
void nr_hub_close(struct nr_hub *hub);

/* --- members --------------------------------------------------------- */

struct nr_hub_invite {
    struct nr_str name, sector, size; /* NAME is for the hub's keeper only */
    enum nr_hub_role role;
    const struct nr_str *collections; /* ids or titles; none: the first */
    size_t n_collections;
    int64_t days;        /* the code's life; 0: NR_HUB_INVITE_DAYS */
    const char *address; /* HOST:PORT; NULL: the hub's own */
};

/* Append the join address "noroshi://HOST:PORT/?code=..&pin=.." to OUT.
 * NR_EEXIST: the name is taken; NR_ENOTFOUND: a collection, or an address. */
enum nr_err nr_hub_invite(struct nr_hub *hub,
    const struct nr_hub_invite *invite, struct nr_buf *out,
    struct nr_diag *d) NR_MUST_USE;

/* An account for Basic. NR_EEXIST, NR_ELIMIT (password too long or empty). */
enum nr_err nr_hub_account_add(struct nr_hub *hub, struct nr_str name,
    enum nr_hub_role role, struct nr_str password,
    struct nr_diag *d) NR_MUST_USE;

/* A further bearer key of a member or account, appended to OUT: it is stored
 * hashed and never shown again. NR_ENOTFOUND. */
enum nr_err nr_hub_key_add(struct nr_hub *hub, struct nr_str name,
    unsigned scope, int64_t days, struct nr_buf *out,
    struct nr_diag *d) NR_MUST_USE;

/* Revoke a member or account, its keys and open invitations at once. */
enum nr_err nr_hub_revoke(struct nr_hub *hub, struct nr_str name,
    struct nr_diag *d) NR_MUST_USE;

struct nr_hub_collection {
    struct nr_str title;
    /* Names of members or accounts; "*" for every one, now and later. */
    const struct nr_str *read, *write;
    size_t n_read, n_write;
};

/* Appends the new collection's id to OUT. NR_EEXIST: the title is taken;
 * NR_ENOTFOUND names who is not known. */
enum nr_err nr_hub_collection_add(struct nr_hub *hub,
    const struct nr_hub_collection *c, struct nr_buf *out,
    struct nr_diag *d) NR_MUST_USE;

/* Append a table, tab separated with a head line, or JSON, to OUT. */
enum nr_err nr_hub_members_print(struct nr_hub *hub, bool json,
    struct nr_buf *out, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_hub_collections_print(struct nr_hub *hub, bool json,
    struct nr_buf *out, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_hub_status_print(struct nr_hub *hub, bool json,
    struct nr_buf *out, struct nr_diag *d) NR_MUST_USE;

/* --- keeping --------------------------------------------------------- */

/* A consistent copy of the store to the new file PATH, also while serving.
 * NR_EEXIST. Certificate and key are not in it: copy hub.pem and hub.key. */
enum nr_err nr_hub_backup(struct nr_hub *hub, const char *path,
    struct nr_diag *d) NR_MUST_USE;

/* Replace HOME's store by the backup PATH, which is checked first. NR_EBUSY
 * while HOME is served. */
enum nr_err nr_hub_restore(const char *home, const char *path,
    const struct nr_env *env, struct nr_diag *d) NR_MUST_USE;

struct nr_hub_check {
    uint64_t facts, objects, answers, members, collections;
    uint64_t faults; /* 0: clean; each has a line in the text */
};

/* The store's own integrity, and of every fact: "added" strictly increasing,
 * the body parses and is what its id says, the leaf holds, author, audience
 * and collection exist, a report's indicators are there. */
enum nr_err nr_hub_check(struct nr_hub *hub, struct nr_hub_check *out,
    struct nr_buf *text, struct nr_diag *d) NR_MUST_USE;

/* --- serving --------------------------------------------------------- */

struct nr_hub_serve {
    const char *home;
    const char *listen;   /* "HOST:PORT", port 0: any free one */
    bool http;            /* plain HTTP; refused unless HOST is loopback */
    const char *cert_pem; /* own certificate chain and key; NULL: the home's */
    const char *key_pem;
    unsigned threads;      /* 0: 4 */
    uint64_t rate;         /* requests a second and key; 0: NR_HUB_RATE */
    bool without_landlock; /* sandbox/sandbox.h: by the operator's word */
    bool unconfined;       /* no sandbox: for tests under sanitizers */
    int stop_fd;           /* serving ends when it becomes readable */
    /* Called once, when the socket listens, with the true address; then the
     * process is confined. The text is borrowed. */
    enum nr_err (*ready)(void *ctx, const char *address, struct nr_diag *d);
    /* One line about an event worth keeping, without secrets or line feed;
     * called from any thread. */
    void (*log)(void *ctx, const char *line);
    void *ctx;
};

/* Serve until stop_fd is readable; every request accepted by then is answered.
 * NR_EBUSY: this home is served already. */
enum nr_err nr_hub_serve(const struct nr_hub_serve *conf,
    const struct nr_env *env, struct nr_diag *d) NR_MUST_USE;

/*
 * The wire in short (doc/hub-api.md has it all).
 *
 *   Authorization: Bearer KEY, or Basic NAME:PASSWORD. Errors are TAXII error
 *   messages {"title","description","http_status"}.
 *   "seq" is an opaque number that grows: microseconds of "added". Only its
 *   order means something; gaps say nothing about what a reader may not see.
 *
 *   GET  /v1/hub               no key: {"name","certificate","time"}
 *   POST /v1/join              no key: {"code","public_key"}
 *   GET  /v1/events            SSE: hello, object; ?after=SEQ, Last-Event-ID
 *   POST /v1/reports           {"collection","tech":bundle,"damage":bundle}
 *   POST /v1/answers           {"answers":[sighting,..]}
 *   GET  /v1/extent[?report=]  counts, k-anonymous but for authorities
 *   GET  /taxii2/ ..           TAXII 2.1, one api root /taxii2/root/
 *   GET  /healthz              no key; /metrics: authorities
 */
#endif
