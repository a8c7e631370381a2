/* TAXII 2.1 (OASIS, 10 June 2021): reading. Sections in brackets. */
#include "base/date.h"
#include "hub/server.h"

#include <stdio.h>

#define STIX_MEDIA "application/stix+json;version=2.1"

static void
member_media(struct nr_json_out *o, const char *name, const char *value)
{
    nr_json_key(o, nr_str_of(name));
    nr_json_open_array(o);
    nr_json_put_str(o, nr_str_of(value));
    nr_json_close_array(o);
}

/* The Host header as a URL's authority, when it is one. */
static struct nr_str
authority(struct nr_request *q)
{
    struct nr_str h = nr_str_of(
        MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Host"));

    for (size_t i = 0; i < h.n; i++) {
        uint8_t c = (uint8_t)h.p[i];

        if (!nr_is_digit(c) && !nr_is_alpha(c) && !strchr(".-:[]", c))
            return NR_STR("");
    }
    return h.n < 256 ? h : NR_STR("");
}

void
nr_taxii_discovery(struct nr_request *q) /* [4.1] */
{
    struct nr_str host = authority(q);
    struct nr_json_out o;
    char root[320] = "/taxii2/root/";

    if (host.n > 0)
        (void)snprintf(root, sizeof(root), "%s://%.*s/taxii2/root/",
            q->server->conf->http ? "http" : "https", NR_FMT(host));
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("title"), q->server->title);
    nr_json_member_str(&o, NR_STR("default"), nr_str_of(root));
    member_media(&o, "api_roots", root);
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

void
nr_taxii_root(struct nr_request *q) /* [4.2] */
{
    struct nr_json_out o;

    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("title"), q->server->title);
    member_media(&o, "versions", NR_TAXII);
    nr_json_member_i64(&o, NR_STR("max_content_length"),
        (int64_t)NR_HUB_BODY_MAX);
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

static void
put_collection(struct nr_request *q, struct nr_json_out *o,
    const struct nr_right *r)
{
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("id"), r->uuid);
    nr_json_member_str(o, NR_STR("title"), r->title);
    nr_json_member_bool(o, NR_STR("can_read"), nr_gate_reads(&q->reader, r));
    nr_json_member_bool(o, NR_STR("can_write"), r->writes);
    member_media(o, "media_types", STIX_MEDIA);
    nr_json_close_object(o);
}

void
nr_taxii_collections(struct nr_request *q) /* [5.1] */
{
    struct nr_json_out o;
    bool some = false;

    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    for (size_t i = 0; i < q->reader.n_rights; i++) {
        const struct nr_right *r = nr_gate_right(&q->reader,
            q->reader.rights[i].collection);

        if (!r)
            continue;
        if (!some) {
            nr_json_key(&o, NR_STR("collections"));
            nr_json_open_array(&o);
            some = true;
        }
        put_collection(q, &o, r);
    }
    if (some)
        nr_json_close_array(&o);
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

/* The collection of the path; NULL: 404 was replied, whether it does not exist
 * or is not the reader's to know. */
static const struct nr_right *
collection(struct nr_request *q, bool read)
{
    const struct nr_right *r = nr_gate_right_by_uuid(&q->reader, q->part[3]);

    if (!r) {
        nr_reply_error(q, 404, "Not found", "There is no such collection.");
        return NULL;
    }
    if (read && !nr_gate_reads(&q->reader, r)) {
        nr_reply_error(q, 403, "Not allowed",
            "This collection may be written but not read with this key.");
        return NULL;
    }
    return r;
}

void
nr_taxii_collection(struct nr_request *q) /* [5.2] */
{
    const struct nr_right *r = collection(q, false);
    struct nr_json_out o;

    if (!r)
        return;
    nr_reply_open(q, &o);
    put_collection(q, &o, r);
    nr_reply_close(q, &o, 200);
}

/* --- pages [3.4, 3.5] ------------------------------------------------ */

struct page {
    struct nr_request *q;
    struct nr_query query;
    struct nr_str ids[NR_HUB_FILTER_MAX], types[NR_HUB_FILTER_MAX];
    int64_t versions[NR_HUB_FILTER_MAX];
    size_t limit;
    bool spec_excludes;
    const char *wrong;
};

static void
one_version(struct page *p, struct nr_str v, bool *word)
{
    int64_t us;

    if (nr_str_eq(v, NR_STR("all")) || nr_str_eq(v, NR_STR("first")) ||
        nr_str_eq(v, NR_STR("last"))) {
        enum nr_versions kind = v.p[0] == 'a' ? NR_VERSION_ALL
            : v.p[0] == 'f'                   ? NR_VERSION_FIRST
                                              : NR_VERSION_LAST;

        /* first,last together: all that fulfil either */
        p->query.versions = *word && p->query.versions != kind ? NR_VERSION_ALL
                                                               : kind;
        *word = true;
    } else if (nr_rfc3339_parse(nr_bytes_of(v), &us, NULL) == NR_OK) {
        p->versions[p->query.n_versions++] = us;
    } else {
        p->wrong = "match[version] takes last, first, all or a time.";
    }
}

static void
one_match(struct page *p, struct nr_str name, struct nr_str v, bool *word,
    bool *spec)
{
    if (p->query.n_ids == NR_HUB_FILTER_MAX ||
        p->query.n_types == NR_HUB_FILTER_MAX ||
        p->query.n_versions == NR_HUB_FILTER_MAX)
        p->wrong = "At most 100 values of one filter.";
    else if (nr_str_eq(name, NR_STR("match[id]")))
        p->ids[p->query.n_ids++] = v;
    else if (nr_str_eq(name, NR_STR("match[type]")))
        p->types[p->query.n_types++] = v;
    else if (nr_str_eq(name, NR_STR("match[version]")))
        one_version(p, v, word);
    else if (nr_str_eq(name, NR_STR("match[spec_version]")))
        *spec = *spec || nr_str_eq(v, NR_STR("2.1"));
}

struct args {
    struct page *p;
    bool word, spec, spec_given;
};

static enum MHD_Result
each_arg(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct args *a = cls;
    struct nr_str name = nr_str_of(key), rest = nr_str_of(value);

    (void)kind;
    if (nr_str_eq(name, NR_STR("match[spec_version]")))
        a->spec_given = true;
    if (name.n < 6 || memcmp(name.p, "match[", 6) != 0)
        return MHD_YES;
    while (rest.n > 0 && !a->p->wrong)
        one_match(a->p, name, nr_str_cut(rest, ',', &rest), &a->word, &a->spec);
    return a->p->wrong ? MHD_NO : MHD_YES;
}

static void
page_place(struct page *p)
{
    const char *limit = nr_query_value(p->q, "limit");
    const char *added = nr_query_value(p->q, "added_after");
    const char *next = nr_query_value(p->q, "next");
    uint64_t n = NR_HUB_PAGE_DEFAULT;
    int64_t us = 0;

    if (limit && (!nr_str_to_u64(nr_str_of(limit), &n) || n == 0))
        p->wrong = "limit takes a number from 1.";
    p->limit = n < NR_HUB_PAGE_MAX ? (size_t)n : NR_HUB_PAGE_MAX;
    p->query.after_us = INT64_MIN;
    if (added && nr_rfc3339_parse(nr_bytes_of(nr_str_of(added)), &us, NULL))
        p->wrong = "added_after takes an RFC 3339 time.";
    else if (added)
        p->query.after_us = us;
    if (!next)
        return;
    if (!nr_str_to_u64(nr_str_of(next), &n) || n > INT64_MAX)
        p->wrong = "next takes what the page before gave.";
    else if ((int64_t)n > p->query.after_us)
        p->query.after_us = (int64_t)n;
}

static struct page *
page_of(struct nr_request *q)
{
    const struct nr_right *r = collection(q, true);
    struct page *p = r ? nr_new(&q->arena, struct page, 1) : NULL;
    struct args args = { .p = p };

    if (!p)
        return NULL;
    p->q = q;
    p->query.collection = r->collection;
    page_place(p);
    (void)MHD_get_connection_values(q->conn, MHD_GET_ARGUMENT_KIND, each_arg,
        &args);
    p->spec_excludes = args.spec_given && !args.spec;
    p->query.version_given_only = p->query.n_versions > 0 && !args.word;
    p->query.ids = p->ids;
    p->query.types = p->types;
    p->query.versions_us = p->versions;
    if (p->wrong) {
        nr_reply_error(q, 400, "Bad filter or page", p->wrong);
        return NULL;
    }
    return p;
}

typedef void put_item(struct nr_json_out *o, const struct nr_fact *f);

static void
put_object(struct nr_json_out *o, const struct nr_fact *f)
{
    nr_json_put_raw(o, f->body);
}

static void
put_record(struct nr_json_out *o, const struct nr_fact *f) /* [5.3] */
{
    char text[NR_RFC3339_MAX];

    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("id"), f->subject);
    nr_json_member_str(o, NR_STR("date_added"),
        nr_str_of(nr_time_print_us(f->added_us, text)));
    nr_json_member_str(o, NR_STR("version"),
        nr_str_of(nr_time_print_us(nr_fact_version_us(f), text)));
    nr_json_member_str(o, NR_STR("media_type"), NR_STR(STIX_MEDIA));
    nr_json_close_object(o);
}

static void
put_version(struct nr_json_out *o, const struct nr_fact *f) /* [5.8] */
{
    char text[NR_RFC3339_MAX];

    nr_json_put_str(o,
        nr_str_of(nr_time_print_us(nr_fact_version_us(f), text)));
}

struct span {
    int64_t first_us, last_us;
    size_t n;
    bool more;
};

/* Write the page's items; the cursor is asked for one more than fits. */
static enum nr_err
put_items(struct page *p, struct nr_cursor *c, struct nr_json_out *o,
    struct nr_str list, put_item *put, struct span *s, struct nr_diag *d)
{
    struct nr_fact f;
    enum nr_err err;

    while (!(err = nr_gate_next(c, &f, d))) {
        s->more = s->n == p->limit || p->q->reply.n > NR_HUB_PAGE_OCTETS;
        if (s->more)
            break;
        if (s->n == 0) {
            nr_json_key(o, list);
            nr_json_open_array(o);
            s->first_us = f.added_us;
        }
        put(o, &f);
        s->last_us = f.added_us;
        s->n++;
    }
    if (s->n > 0)
        nr_json_close_array(o);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static void
put_span(struct nr_request *q, struct nr_json_out *o, const struct span *s)
{
    char text[NR_RFC3339_MAX];

    if (s->more) {
        nr_json_member_bool(o, NR_STR("more"), true);
        (void)snprintf(text, sizeof(text), "%lld", (long long)s->last_us);
        nr_json_member_str(o, NR_STR("next"), nr_str_of(text));
    } else if (s->n > 0) {
        nr_json_member_bool(o, NR_STR("more"), false);
    }
    if (s->n == 0)
        return;
    nr_reply_header(q, "X-TAXII-Date-Added-First",
        nr_time_print_us(s->first_us, text));
    nr_reply_header(q, "X-TAXII-Date-Added-Last",
        nr_time_print_us(s->last_us, text));
}

static void
reply_page(struct nr_request *q, struct page *p, const char *list,
    put_item *put, bool must_exist)
{
    struct span s = { 0 };
    struct nr_json_out o;
    struct nr_cursor c;
    struct nr_diag d = { 0 };
    struct nr_db *db = nr_pool_get(&q->server->pool);
    enum nr_err err = nr_gate_open(&c, db, &q->reader, &p->query, &d);

    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    if (!err && !p->spec_excludes)
        err = put_items(p, &c, &o, nr_str_of(list), put, &s, &d);
    nr_gate_close(&c);
    nr_pool_put(&q->server->pool, db);
    if (err) {
        nr_reply_fail(q, err, &d);
        return;
    }
    put_span(q, &o, &s);
    nr_json_close_object(&o);
    if (s.n == 0 && must_exist)
        nr_reply_error(q, 404, "Not found", "There is no such object.");
    else
        nr_reply_close(q, &o, 200);
}

void
nr_taxii_manifest(struct nr_request *q) /* [5.3] */
{
    struct page *p = page_of(q);

    if (p)
        reply_page(q, p, "objects", put_record, false);
}

void
nr_taxii_objects(struct nr_request *q) /* [5.4] */
{
    struct page *p = page_of(q);

    if (p)
        reply_page(q, p, "objects", put_object, false);
}

static bool
has_filters(const struct page *p)
{
    return p->query.after_us != INT64_MIN || p->query.n_versions > 0 ||
        p->spec_excludes;
}

static void
one_object(struct nr_request *q, const char *list, put_item *put, bool all)
{
    struct page *p = page_of(q);

    if (!p)
        return;
    p->ids[0] = q->part[5];
    p->query.n_ids = 1;
    p->query.n_types = 0;
    if (all)
        p->query.versions = NR_VERSION_ALL;
    reply_page(q, p, list, put, !has_filters(p));
}

void
nr_taxii_object(struct nr_request *q) /* [5.6] */
{
    one_object(q, "objects", put_object, false);
}

void
nr_taxii_versions(struct nr_request *q) /* [5.8] */
{
    one_object(q, "versions", put_version, true);
}

void
nr_taxii_status(struct nr_request *q) /* [4.3] */
{
    struct nr_db *db = nr_pool_get(&q->server->pool);
    struct nr_diag d = { 0 };
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(db, &d, &st,
        "SELECT body FROM status WHERE id=?1 AND member=?2", "ti", q->part[3],
        q->reader.member);

    if (!err)
        err = nr_db_row(db, st, &d);
    if (!err) {
        nr_buf_put(&q->reply, nr_db_bytes(st, 0));
        q->status = 200;
    }
    nr_db_done(st);
    nr_pool_put(&q->server->pool, db);
    if (err == NR_ENOTFOUND)
        nr_reply_error(q, 404, "Not found",
            "There is no such status, or it is older than a day.");
    else if (err)
        nr_reply_fail(q, err, &d);
}
