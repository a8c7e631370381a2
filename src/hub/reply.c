#include "hub/server.h"

#include <stdio.h>
#include <string.h>

void
nr_reply_header(struct nr_request *q, const char *name, const char *value)
{
    if (q->n_headers == NR_HEADERS_MAX)
        return;
    q->header[q->n_headers].name = name;
    (void)snprintf(q->header[q->n_headers].value,
        sizeof(q->header[q->n_headers].value), "%s", value);
    q->n_headers++;
}

void
nr_reply_open(struct nr_request *q, struct nr_json_out *o)
{
    nr_buf_reset(&q->reply);
    nr_json_out_init(o, &q->reply);
}

void
nr_reply_close(struct nr_request *q, struct nr_json_out *o, unsigned status)
{
    q->status = status;
    if (nr_json_out_end(o))
        nr_reply_error(q, 500, "Out of memory",
            "The answer is too large; ask for less at a time.");
}

void
nr_reply_error(struct nr_request *q, unsigned status, const char *title,
    const char *description)
{
    struct nr_json_out o;
    char code[16];

    (void)snprintf(code, sizeof(code), "%u", status);
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("title"), nr_str_of(title));
    nr_json_member_str(&o, NR_STR("description"), nr_str_of(description));
    nr_json_member_str(&o, NR_STR("http_status"), nr_str_of(code));
    nr_json_close_object(&o);
    q->status = nr_json_out_end(&o) ? 500 : status;
    if (status == 401)
        nr_reply_header(q, "WWW-Authenticate",
            "Basic realm=\"noroshi\", charset=\"UTF-8\"");
    if (status == 429 || status == 503)
        nr_reply_header(q, "Retry-After", "1");
}

static const struct {
    enum nr_err err;
    unsigned status;
    const char *title;
} kinds[] = {
    { NR_EFORMAT, 422, "Not acceptable content" },
    { NR_ETRUNC, 400, "The body ends early" },
    { NR_ELIMIT, 413, "Over a limit" },
    { NR_EDENIED, 403, "Not allowed" },
    { NR_ENOTFOUND, 404, "Not found" },
    { NR_EEXIST, 409, "There already" },
    { NR_EBUSY, 503, "Busy" },
    { NR_ENOMEM, 413, "Too large" },
};

void
nr_reply_fail(struct nr_request *q, enum nr_err err, const struct nr_diag *d)
{
    char text[512];

    nr_diag_print(d, text, sizeof(text));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].err != err)
            continue;
        nr_reply_error(q, kinds[i].status, kinds[i].title,
            err == NR_EBUSY ? "The store is busy; try again." : text);
        return;
    }
    /* What the store said is the keeper's to know. */
    if (q->server->conf->log)
        q->server->conf->log(q->server->conf->ctx, text);
    nr_reply_error(q, err == NR_ESYS ? 507 : 500, "The hub cannot do this now",
        "Its store refuses; the hub's keeper finds the reason in its log.");
}

const char *
nr_query_value(struct nr_request *q, const char *name)
{
    return MHD_lookup_connection_value(q->conn, MHD_GET_ARGUMENT_KIND, name);
}

const struct nr_json *
nr_request_json(struct nr_request *q)
{
    const struct nr_json *j;
    struct nr_diag d = { 0 };
    char text[512];
    enum nr_err err = nr_json_parse(&q->arena, nr_buf_bytes(&q->body), &j, &d);

    if (!err && nr_json_is(j, NR_JSON_OBJECT))
        return j;
    if (!err)
        (void)nr_fail(&d, NR_EFORMAT, 0, "the body is not a JSON object");
    nr_diag_print(&d, text, sizeof(text));
    if (err == NR_ELIMIT || err == NR_ENOMEM)
        nr_reply_error(q, 413, "Over a limit", text);
    else
        nr_reply_error(q, 400, "The body is not JSON", text);
    return NULL;
}

struct nr_request *
nr_request_of(struct nr_write *w)
{
    return (struct nr_request *)(void *)((char *)w -
        offsetof(struct nr_request, write));
}

static void
written(struct nr_write *w)
{
    struct nr_request *q = nr_request_of(w);
    struct nr_server *s = q->server;

    if (!w->err)
        nr_events_wake(s, q->shared);
    (void)MHD_resume_connection(q->conn);
}

void
nr_request_write(struct nr_request *q,
    enum nr_err (*run)(struct nr_write *w, struct nr_db *db, struct nr_diag *d),
    void (*finish)(struct nr_request *q))
{
    q->write.run = run;
    q->write.done = written;
    q->finish = finish;
    q->waiting = true;
    MHD_suspend_connection(q->conn);
    nr_writer_put(&q->server->writer, &q->write);
}

/* --- pool ------------------------------------------------------------ */

enum nr_err
nr_pool_init(struct nr_pool *p, const char *path, size_t n, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    *p = (struct nr_pool){ .n = 0 };
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->free, NULL);
    p->v = calloc(n, sizeof(*p->v));
    p->used = calloc(n, sizeof(*p->used));
    if (!p->v || !p->used)
        err = nr_fail(d, NR_ENOMEM, 0, "serve: out of memory");
    /* Writable: a reader of a WAL store keeps its shared index. */
    while (!err && p->n < n) {
        err = nr_db_open(&p->v[p->n], path, NR_DB_OPEN, d);
        if (!err)
            p->n++;
    }
    return err;
}

void
nr_pool_fini(struct nr_pool *p)
{
    for (size_t i = 0; i < p->n; i++)
        nr_db_close(&p->v[i]);
    free(p->v);
    free(p->used);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_cond_destroy(&p->free);
}

struct nr_db *
nr_pool_get(struct nr_pool *p)
{
    struct nr_db *db = NULL;

    (void)pthread_mutex_lock(&p->lock);
    while (!db) {
        for (size_t i = 0; i < p->n && !db; i++) {
            if (p->used[i])
                continue;
            p->used[i] = true;
            db = &p->v[i];
        }
        if (!db)
            (void)pthread_cond_wait(&p->free, &p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return db;
}

void
nr_pool_put(struct nr_pool *p, struct nr_db *db)
{
    (void)pthread_mutex_lock(&p->lock);
    p->used[db - p->v] = false;
    (void)pthread_cond_signal(&p->free);
    (void)pthread_mutex_unlock(&p->lock);
}
