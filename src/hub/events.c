/*
 * Event streams (text/event-stream): one suspended connection each.
 *
 * A stream holds a place in the log, not a queue: what it is told comes
 * through the gate when it is woken, so a slow client costs nothing and a
 * reconnect resumes anywhere. It sleeps (suspended, no thread) until a commit
 * or the heartbeat. The two counters of commits close the gap between "nothing
 * new" and going to sleep.
 */
#include "base/date.h"
#include "hub/server.h"

#include <stdio.h>

#define BATCH        64                 /* events of one reading */
#define STREAM_BUF   ((size_t)1 << 20)  /* octets of one batch */
#define STREAM_ARENA ((size_t)16 << 20) /* a reader's rights */
#define CHUNK        ((size_t)16384)    /* octets that MHD asks for at once */

struct nr_stream {
    struct nr_server *server;
    struct MHD_Connection *conn;
    int64_t member, key, after_us;
    struct nr_buf out;
    size_t sent;
    bool hello, ended, wide;
    bool asleep, beat;              /* under stream_lock */
    uint64_t seen;                  /* generation looked at */
    struct nr_stream **prev, *next; /* under stream_lock */
};

static void
put_event(struct nr_stream *t, const struct nr_reader *r,
    const struct nr_fact *f)
{
    const struct nr_right *right = NULL;
    char version[NR_RFC3339_MAX], added[NR_RFC3339_MAX];
    struct nr_json_out o;

    for (size_t i = 0; i < r->n_rights; i++)
        if (r->rights[i].collection == f->collection)
            right = &r->rights[i];
    nr_buf_printf(&t->out,
        "id: %lld\nevent: object\ndata: ", (long long)f->added_us);
    nr_json_out_init(&o, &t->out);
    nr_json_open_object(&o);
    nr_json_member_i64(&o, NR_STR("seq"), f->added_us);
    nr_json_member_str(&o, NR_STR("collection"),
        right ? right->uuid : NR_STR(""));
    nr_json_member_str(&o, NR_STR("type"), nr_fact_type(f));
    nr_json_member_str(&o, NR_STR("id"), f->subject);
    nr_json_member_str(&o, NR_STR("version"),
        nr_str_of(nr_time_print_us(nr_fact_version_us(f), version)));
    nr_json_member_str(&o, NR_STR("added"),
        nr_str_of(nr_time_print_us(f->added_us, added)));
    nr_json_close_object(&o);
    if (nr_json_out_end(&o) == NR_OK)
        nr_buf_printf(&t->out, "\n\n");
}

static enum nr_err
put_hello(struct nr_stream *t, struct nr_db *db, const struct nr_reader *r)
{
    enum nr_err err = nr_gate_newest(db, r, &t->after_us, NULL);

    if (!err)
        nr_buf_printf(&t->out,
            "id: %lld\nevent: hello\ndata: {\"seq\":%lld}\n\n",
            (long long)t->after_us, (long long)t->after_us);
    t->hello = false;
    return err;
}

static enum nr_err
put_news(struct nr_stream *t, struct nr_db *db, const struct nr_reader *r)
{
    struct nr_query query = { .after_us = t->after_us,
        .versions = NR_VERSION_ALL };
    struct nr_cursor c;
    struct nr_fact f;
    enum nr_err err = nr_gate_open(&c, db, r, &query, NULL);

    for (int n = 0; !err && n < BATCH; n++) {
        err = nr_gate_next(&c, &f, NULL);
        if (!err)
            put_event(t, r, &f);
    }
    t->after_us = c.scanned_us;
    nr_gate_close(&c);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

/* Read on from where the stream stands; a key that no longer holds ends it. */
static void
look(struct nr_stream *t)
{
    struct nr_server *s = t->server;
    struct nr_reader r;
    struct nr_arena a;
    struct nr_db *db = nr_pool_get(&s->pool);
    enum nr_err err;

    nr_arena_init(&a, STREAM_ARENA);
    nr_buf_reset(&t->out);
    t->sent = 0;
    err = nr_reader_of(db, &a, t->member, t->key, s->env->now_us(s->env->ctx),
        &r, NULL);
    if (!err) {
        t->wide = nr_hub_role_is_authority(r.role) || r.n_audiences > 0;
        err = t->hello ? put_hello(t, db, &r) : put_news(t, db, &r);
    }
    nr_arena_fini(&a);
    nr_pool_put(&s->pool, db);
    if (err || t->out.err)
        t->ended = true;
}

/* Nothing to say: sleep, unless something happened since we looked. */
static bool
sleep_now(struct nr_stream *t)
{
    struct nr_server *s = t->server;
    bool slept = false;

    (void)pthread_mutex_lock(&s->stream_lock);
    if (t->beat) {
        t->beat = false;
        nr_buf_printf(&t->out, ": heartbeat\n\n");
    } else if (t->seen == s->generation[t->wide] && !atomic_load(&s->closing)) {
        t->asleep = slept = true;
        MHD_suspend_connection(t->conn);
    }
    (void)pthread_mutex_unlock(&s->stream_lock);
    return slept;
}

static ssize_t
read_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct nr_stream *t = cls;
    size_t n;

    (void)pos;
    while (t->sent == t->out.n) {
        struct nr_server *s = t->server;

        if (t->ended || atomic_load(&s->closing))
            return MHD_CONTENT_READER_END_OF_STREAM;
        (void)pthread_mutex_lock(&s->stream_lock);
        t->seen = s->generation[t->wide];
        (void)pthread_mutex_unlock(&s->stream_lock);
        look(t);
        if (t->out.n == 0 && !t->ended && sleep_now(t))
            return 0;
    }
    n = t->out.n - t->sent < max ? t->out.n - t->sent : max;
    memcpy(buf, t->out.p + t->sent, n);
    t->sent += n;
    return (ssize_t)n;
}

static void
end_stream(void *cls)
{
    struct nr_stream *t = cls;
    struct nr_server *s = t->server;

    (void)pthread_mutex_lock(&s->stream_lock);
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    (void)pthread_mutex_unlock(&s->stream_lock);
    (void)atomic_fetch_sub(&s->metrics.streams, 1);
    nr_buf_fini(&t->out);
    free(t);
}

void
nr_events_wake(struct nr_server *s, bool shared)
{
    (void)pthread_mutex_lock(&s->stream_lock);
    s->generation[1]++;
    if (shared)
        s->generation[0]++;
    for (struct nr_stream *t = s->streams; t; t = t->next) {
        if (!t->asleep || (!shared && !t->wide))
            continue;
        t->asleep = false;
        MHD_resume_connection(t->conn);
    }
    (void)pthread_mutex_unlock(&s->stream_lock);
}

void
nr_events_beat(struct nr_server *s, bool heartbeat)
{
    (void)pthread_mutex_lock(&s->stream_lock);
    for (struct nr_stream *t = s->streams; t; t = t->next) {
        t->beat |= heartbeat;
        if (!t->asleep)
            continue;
        t->asleep = false;
        MHD_resume_connection(t->conn);
    }
    (void)pthread_mutex_unlock(&s->stream_lock);
}

/* Link T in; false when its key has too many streams. */
static bool
link_stream(struct nr_server *s, struct nr_stream *t)
{
    unsigned n = 0;

    (void)pthread_mutex_lock(&s->stream_lock);
    for (struct nr_stream *o = s->streams; o; o = o->next)
        n += o->member == t->member && o->key == t->key;
    if (n < NR_HUB_STREAMS_KEY) {
        t->next = s->streams;
        t->prev = &s->streams;
        if (t->next)
            t->next->prev = &t->next;
        s->streams = t;
    }
    (void)pthread_mutex_unlock(&s->stream_lock);
    return n < NR_HUB_STREAMS_KEY;
}

/* Where to resume: ?after= or Last-Event-ID. False: a reply was made. */
static bool
place(struct nr_request *q, struct nr_stream *t)
{
    const char *after = nr_query_value(q, "after");
    uint64_t n;

    if (!after)
        after = MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND,
            "Last-Event-ID");
    t->hello = !after || !*after;
    if (t->hello)
        return true;
    if (!nr_str_to_u64(nr_str_of(after), &n) || n > INT64_MAX) {
        nr_reply_error(q, 400, "Bad place",
            "after and Last-Event-ID take a seq that the hub gave.");
        return false;
    }
    t->after_us = (int64_t)n;
    return true;
}

void
nr_get_events(struct nr_request *q)
{
    struct nr_stream *t = calloc(1, sizeof(*t));

    if (!t) {
        nr_reply_error(q, 503, "Out of memory", "Try again later.");
        return;
    }
    t->server = q->server;
    t->conn = q->conn;
    t->member = q->reader.member;
    t->key = q->reader.key;
    t->wide = nr_hub_role_is_authority(q->reader.role) ||
        q->reader.n_audiences > 0;
    nr_buf_init(&t->out, STREAM_BUF);
    if (!place(q, t)) {
        free(t);
        return;
    }
    if (!link_stream(q->server, t)) {
        free(t);
        nr_reply_error(q, 429, "Too many streams",
            "This key has its number of event streams open already.");
        return;
    }
    (void)atomic_fetch_add(&q->server->metrics.streams, 1);
    q->stream = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK,
        read_stream, t, end_stream);
    if (!q->stream) {
        end_stream(t);
        nr_reply_error(q, 503, "Out of memory", "Try again later.");
        return;
    }
    q->status = 200;
    q->media = "text/event-stream";
    nr_reply_header(q, "Cache-Control", "no-store");
    nr_reply_header(q, "X-Accel-Buffering", "no");
}
