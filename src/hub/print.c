#include "base/date.h"
#include "hub/admin.h"
#include "json/json.h"

/* A query's rows as a table with a head line, or as an array of objects. */
static enum nr_err
print_rows(struct nr_hub *hub, sqlite3_stmt *st, bool json, struct nr_buf *out,
    struct nr_diag *d)
{
    int n = sqlite3_column_count(st);
    struct nr_json_out o;
    enum nr_err err = NR_OK;

    nr_json_out_init(&o, out);
    if (json)
        nr_json_open_array(&o);
    for (int i = 0; !json && i < n; i++)
        nr_buf_printf(out, "%s%s", sqlite3_column_name(st, i),
            i + 1 < n ? "\t" : "\n");
    for (err = nr_db_row(&hub->db, st, d); !err;
         err = nr_db_row(&hub->db, st, d)) {
        if (json)
            nr_json_open_object(&o);
        for (int i = 0; i < n; i++) {
            struct nr_str v = nr_db_str(st, i);

            if (json && sqlite3_column_type(st, i) == SQLITE_INTEGER)
                nr_json_member_i64(&o, nr_str_of(sqlite3_column_name(st, i)),
                    sqlite3_column_int64(st, i));
            else if (json)
                nr_json_member_str(&o, nr_str_of(sqlite3_column_name(st, i)),
                    v);
            else
                nr_buf_printf(out, "%.*s%s", NR_FMT(v),
                    i + 1 < n ? "\t" : "\n");
        }
        if (json)
            nr_json_close_object(&o);
    }
    if (json) {
        nr_json_close_array(&o);
        if (nr_json_out_end(&o))
            return nr_fail(d, NR_ENOMEM, 0, "hub: out of memory");
        nr_buf_put_c(out, '\n');
    }
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
nr_hub_members_print(struct nr_hub *hub, bool json, struct nr_buf *out,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(&hub->db, d, &st,
        "SELECT m.name AS name,"
        " CASE role WHEN 0 THEN 'member' WHEN 1 THEN 'briefing'"
        " WHEN 2 THEN 'coordinator' WHEN 3 THEN 'csirt' WHEN 4 THEN 'police'"
        " ELSE 'defence' END AS role, m.sector AS sector, m.size AS size,"
        " CASE WHEN m.revoked_us IS NULL THEN 'active' ELSE 'revoked' END"
        " AS state, m.pseudonym AS pseudonym FROM member m"
        " UNION ALL SELECT i.name, CASE role WHEN 0 THEN 'member' WHEN 1 THEN"
        " 'briefing' WHEN 2 THEN 'coordinator' WHEN 3 THEN 'csirt' WHEN 4"
        " THEN 'police' ELSE 'defence' END, i.sector, i.size,"
        " CASE WHEN i.revoked_us IS NOT NULL THEN 'revoked'"
        " WHEN i.expires_us<=?1 THEN 'expired' ELSE 'invited' END, ''"
        " FROM invite i WHERE i.member IS NULL ORDER BY 1",
        "i", hub->env->now_us(hub->env->ctx));

    if (!err)
        err = print_rows(hub, st, json, out, d);
    nr_db_done(st);
    return err;
}

enum nr_err
nr_hub_collections_print(struct nr_hub *hub, bool json, struct nr_buf *out,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(&hub->db, d, &st,
        "SELECT c.uuid AS id, c.title AS title,"
        " (SELECT count(*) FROM access x WHERE x.collection=c.id AND can_read)"
        " AS readers,"
        " (SELECT count(*) FROM access x WHERE x.collection=c.id AND can_write)"
        " AS writers,"
        " (SELECT count(*) FROM fact f WHERE f.collection=c.id) AS facts"
        " FROM collection c ORDER BY c.id",
        "");

    if (!err)
        err = print_rows(hub, st, json, out, d);
    nr_db_done(st);
    return err;
}

enum nr_err
nr_hub_status_print(struct nr_hub *hub, bool json, struct nr_buf *out,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(&hub->db, d, &st,
        "SELECT (SELECT value FROM meta WHERE key='title') AS title,"
        " ifnull((SELECT value FROM meta WHERE key='address'),"
        " ifnull((SELECT value FROM meta WHERE key='listen'), '')) AS address,"
        " (SELECT value FROM meta WHERE key='pin') AS pin,"
        " (SELECT count(*) FROM member WHERE revoked_us IS NULL) AS members,"
        " (SELECT count(*) FROM invite WHERE member IS NULL"
        " AND revoked_us IS NULL AND expires_us>?1) AS invited,"
        " (SELECT count(*) FROM collection) AS collections,"
        " (SELECT count(*) FROM fact WHERE kind=1) AS objects,"
        " (SELECT count(*) FROM fact WHERE kind=2) AS reports,"
        " (SELECT count(*) FROM fact WHERE kind=3) AS answers",
        "i", hub->env->now_us(hub->env->ctx));

    if (!err)
        err = print_rows(hub, st, json, out, d);
    nr_db_done(st);
    return err;
}
