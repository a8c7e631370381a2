/* TAXII 2.1 section 5.5: adding objects; section 4.3: the status of it. */
#include "base/date.h"
#include "base/hash.h"
#include "hub/object.h"
#include "hub/server.h"

#include <stdio.h>

struct outcome {
    struct nr_str id;
    int64_t version_us;
    const char *failure; /* NULL: in the log now */
};

struct post {
    struct nr_fact *facts;
    struct outcome *outcomes;
    size_t n;
    size_t *fact_outcome; /* facts[i] belongs to outcomes[fact_outcome[i]] */
    size_t n_facts;
    char id[NR_UUID_MAX];
};

static const char *
keep_text(struct nr_arena *a, const struct nr_diag *d)
{
    char text[512];
    struct nr_str kept;

    nr_diag_print(d, text, sizeof(text));
    return nr_store_dup(a, nr_str_of(text), &kept) ? kept.p : "refused";
}

static void
put_outcomes(struct nr_json_out *o, const struct post *p, bool failed)
{
    char text[NR_RFC3339_MAX];
    bool some = false;

    for (size_t i = 0; i < p->n; i++) {
        const struct outcome *x = &p->outcomes[i];

        if ((x->failure != NULL) != failed)
            continue;
        if (!some)
            nr_json_key(o, failed ? NR_STR("failures") : NR_STR("successes"));
        if (!some)
            nr_json_open_array(o);
        some = true;
        nr_json_open_object(o);
        nr_json_member_str(o, NR_STR("id"), x->id);
        nr_json_member_str(o, NR_STR("version"),
            nr_str_of(nr_time_print_us(x->version_us, text)));
        if (failed)
            nr_json_member_str(o, NR_STR("message"), nr_str_of(x->failure));
        nr_json_close_object(o);
    }
    if (some)
        nr_json_close_array(o);
}

/* The status resource, as it is replied and kept. */
static void
put_status(struct nr_request *q, const struct post *p)
{
    struct nr_server *s = q->server;
    char text[NR_RFC3339_MAX];
    struct nr_json_out o;
    int64_t failed = 0;

    for (size_t i = 0; i < p->n; i++)
        failed += p->outcomes[i].failure != NULL;
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("id"), nr_str_of(p->id));
    nr_json_member_str(&o, NR_STR("status"), NR_STR("complete"));
    nr_json_member_str(&o, NR_STR("request_timestamp"),
        nr_str_of(nr_time_print_us(s->env->now_us(s->env->ctx), text)));
    nr_json_member_i64(&o, NR_STR("total_count"), (int64_t)p->n);
    nr_json_member_i64(&o, NR_STR("success_count"), (int64_t)p->n - failed);
    put_outcomes(&o, p, false);
    nr_json_member_i64(&o, NR_STR("failure_count"), failed);
    put_outcomes(&o, p, true);
    nr_json_member_i64(&o, NR_STR("pending_count"), 0);
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 202);
}

static enum nr_err
append_all(struct nr_request *q, struct post *p, struct nr_db *db,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    struct nr_arena scratch;

    nr_arena_init(&scratch, NR_HUB_ARENA_MAX);
    for (size_t i = 0; !err && i < p->n_facts; i++) {
        struct outcome *x = &p->outcomes[p->fact_outcome[i]];
        struct nr_fact *f = &p->facts[i];
        bool may = true;

        err = nr_gate_may_write(db, &q->reader, f, &may, d);
        if (!err && !may) {
            x->failure = "only the originator may lower a marking or write a "
                         "new version of a report or an answer";
            continue;
        }
        if (!err)
            err = nr_object_named(db, &scratch, f, d);
        if (!err)
            err = nr_store_append(db, q->server->env, f, d);
        x->version_us = nr_fact_version_us(f);
        q->shared |= f->audience == NR_AUDIENCE_COLLECTION;
    }
    nr_arena_fini(&scratch);
    return err;
}

static enum nr_err
run_post(struct nr_write *w, struct nr_db *db, struct nr_diag *d)
{
    struct nr_request *q = nr_request_of(w);
    struct post *p = q->state;
    int64_t now = q->server->env->now_us(q->server->env->ctx);
    enum nr_err err = append_all(q, p, db, d);

    if (err)
        return err;
    put_status(q, p);
    err = nr_db_run(db, d, "DELETE FROM status WHERE added_us<?1", "i",
        now - NR_HUB_STATUS_DAYS * NR_S_PER_DAY * NR_US_PER_S);
    return err
        ? err
        : nr_db_run(db, d, "INSERT INTO status VALUES(?1,?2,?3,?4)", "tiib",
              nr_str_of(p->id), q->reader.member, now, nr_buf_bytes(&q->reply));
}

static void
finish_post(struct nr_request *q)
{
    const struct post *p = q->state;

    if (q->write.err)
        nr_reply_fail(q, q->write.err, &q->write.diag);
    else
        (void)atomic_fetch_add(&q->server->metrics.facts, p->n_facts);
}

static struct post *
make_post(struct nr_request *q, const struct nr_json *list, int64_t collection)
{
    struct post *p = nr_new(&q->arena, struct post, 1);
    int64_t now = q->server->env->now_us(q->server->env->ctx);
    uint8_t random[16];
    struct nr_diag d;

    if (!p)
        return NULL;
    p->facts = nr_new(&q->arena, struct nr_fact, list->n);
    p->outcomes = nr_new(&q->arena, struct outcome, list->n);
    p->fact_outcome = nr_new(&q->arena, size_t, list->n);
    if (!p->facts || !p->outcomes || !p->fact_outcome ||
        q->server->env->random(q->server->env->ctx, random, sizeof(random)))
        return NULL;
    nr_uuid4(random, p->id);
    for (const struct nr_json *v = list->child; v; v = v->next) {
        struct outcome *x = &p->outcomes[p->n];

        d = (struct nr_diag){ .err = NR_OK };
        x->version_us = now;
        if (!nr_json_get_str(v, NR_STR("id"), &x->id))
            x->id = NR_STR("");
        if (nr_object_fact(v, nr_buf_bytes(&q->body), &q->reader, collection,
                &p->facts[p->n_facts], &d)) {
            x->failure = keep_text(&q->arena, &d);
        } else {
            x->version_us = nr_fact_version_us(&p->facts[p->n_facts]);
            p->fact_outcome[p->n_facts++] = p->n;
        }
        p->n++;
    }
    return p;
}

void
nr_taxii_post(struct nr_request *q)
{
    const struct nr_right *r = nr_gate_right_by_uuid(&q->reader, q->part[3]);
    const struct nr_json *j, *list;
    struct post *p;

    if (!r) {
        nr_reply_error(q, 404, "Not found", "There is no such collection.");
        return;
    }
    if (!r->writes) {
        nr_reply_error(q, 403, "Not allowed",
            "This key may not write to this collection.");
        return;
    }
    j = nr_request_json(q);
    if (!j)
        return;
    list = nr_json_get(j, NR_STR("objects"));
    if (!nr_json_is(list, NR_JSON_ARRAY) || list->n == 0) {
        nr_reply_error(q, 422, "Not an envelope",
            "An envelope holds \"objects\" (TAXII 2.1 section 3.7).");
        return;
    }
    if (list->n > NR_HUB_OBJECTS_MAX) {
        nr_reply_error(q, 413, "Too many objects",
            "At most 10000 objects in one envelope; send several.");
        return;
    }
    q->state = p = make_post(q, list, r->collection);
    if (!p)
        nr_reply_error(q, 413, "Too large", "Send less at a time.");
    else
        nr_request_write(q, run_post, finish_post);
}
