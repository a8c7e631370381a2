#include "warn.h"

#include "base/file.h"
#include "member/member.h"
#include "observable/observable.h"

#include <string.h>

static enum nr_err
allow(const struct nr_config *c, struct nr_warnlists *w, struct nr_diag *d)
{
    struct nr_str what;
    enum nr_err err = NR_OK;
    size_t at = 0;

    while (!err && nr_config_next(c, NR_STR("allow"), &at, &what))
        err = nr_warn_allow(w, what, d);
    return err;
}

/* The first place that has lists. NR_ENOTFOUND: none of them. */
static enum nr_err
search(const struct cli *cli, struct nr_warnlists **w, struct nr_diag *d)
{
    struct nr_diag none = { 0 };
    char home[NR_PATH_MAX];
    enum nr_err err = nr_path_join(home, cli->home, "warninglists", d);

    if (err)
        return err;
    err = nr_warn_load(home, w, &none);
    if (err == NR_ENOTFOUND) {
        none = (struct nr_diag){ 0 };
        err = nr_warn_load(NR_DATADIR "/warninglists", w, &none);
    }
    if (err)
        *d = none;
    return err;
}

enum nr_err
warn_load(const struct cli *cli, const char *dir, struct nr_warnlists **out,
    struct nr_diag *d)
{
    struct nr_warnlists *w = NULL;
    struct nr_diag why = { 0 };
    struct nr_config c = { 0 };
    struct nr_str set = { "", 0 };
    char named[NR_PATH_MAX];
    struct nr_arena a;
    enum nr_err err;

    *out = NULL;
    if (dir && strcmp(dir, "none") == 0)
        return NR_OK;
    nr_arena_init(&a, NR_CONFIG_MAX * 8);
    err = nr_config_read(&a, cli->home, &c, &why);
    if (!err && !dir && nr_config_get(&c, NR_STR("warninglists"), &set) &&
        set.n < sizeof(named)) {
        memcpy(named, set.p, set.n);
        named[set.n] = '\0';
        dir = named;
    }
    if (!err)
        err = dir ? nr_warn_load(dir, &w, &why) : search(cli, &w, &why);
    if (err == NR_ENOTFOUND && !dir) {
        cli_warn(cli,
            "no warninglists found, harmless values are not flagged: "
            "name them as \"warninglists = DIR\" in the config of the home");
        err = NR_OK;
        goto out;
    }
    if (!err)
        err = allow(&c, w, &why);
    if (err) {
        nr_warn_destroy(w);
        *d = why;
        goto out;
    }
    *out = w;
out:
    nr_arena_fini(&a);
    return err;
}

void
warn_of_judges(const struct cli *cli, const char *list, uint64_t version,
    uint64_t installed)
{
    if (installed == 0 || version == installed)
        return;
    if (version == 0)
        cli_warn(cli,
            "%s: no warninglists judged its values; import it again to have "
            "them judged",
            list);
    else
        cli_warn(cli,
            "%s: judged by other warninglists than those installed; import it "
            "again to have its values judged anew",
            list);
}
