/* The extent as JSON, as /v1/extent gives it. */
#include "json/json.h"
#include "picture/picture.h"

static void
put_time(struct nr_json_out *o, struct nr_str name, int64_t t)
{
    char buf[NR_RFC3339_MAX];

    nr_json_key(o, name);
    if (t == NR_TIME_NONE)
        nr_json_put_null(o);
    else
        nr_json_put_str(o, nr_str_of(nr_time_print(t, buf)));
}

static void
put_row(struct nr_json_out *o, const struct nr_extent_row *r)
{
    for (int c = 0; c < NR_EXTENT_CELLS; c++) {
        nr_json_key(o, nr_str_of(nr_extent_cell_name((enum nr_extent_cell)c)));
        if (r->hidden[c])
            nr_json_put_null(o);
        else
            nr_json_put_i64(o, (int64_t)r->n[c]);
    }
    put_time(o, NR_STR("earliest"), r->earliest_s);
    put_time(o, NR_STR("latest"), r->latest_s);
}

static void
put_org(struct nr_json_out *o, const struct nr_extent_org *g)
{
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("member"), g->member);
    nr_json_member_str(o, NR_STR("sector"), g->sector);
    nr_json_member_str(o, NR_STR("size"), g->size);
    nr_json_member_str(o, NR_STR("answer"),
        nr_str_of(nr_extent_answer_name(g->answer)));
    nr_json_member_bool(o, NR_STR("denied"), g->denied);
    nr_json_key(o, NR_STR("coverage"));
    if (g->answer == NR_EXTENT_UNANSWERED)
        nr_json_put_null(o);
    else
        nr_json_put_double(o, g->coverage);
    nr_json_member_i64(o, NR_STR("lines"), (int64_t)g->lines);
    put_time(o, NR_STR("first"), g->first_s);
    put_time(o, NR_STR("last"), g->last_s);
    nr_json_close_object(o);
}

void
nr_extent_put_json(struct nr_json_out *o, const struct nr_extent_result *r)
{
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("report"), r->report);
    nr_json_member_str(o, NR_STR("name"), r->name);
    nr_json_member_str(o, NR_STR("collection"), r->collection);
    put_time(o, NR_STR("published"), r->published_s);
    put_row(o, &r->total);
    nr_json_key(o, NR_STR("sectors"));
    nr_json_open_array(o);
    for (size_t i = 0; i < r->n_sectors; i++) {
        nr_json_open_object(o);
        nr_json_member_str(o, NR_STR("sector"), r->sectors[i].sector);
        put_row(o, &r->sectors[i]);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
    if (r->orgs) {
        nr_json_key(o, NR_STR("members"));
        nr_json_open_array(o);
        for (size_t i = 0; i < r->n_orgs; i++)
            put_org(o, &r->orgs[i]);
        nr_json_close_array(o);
    }
    nr_json_close_object(o);
}
