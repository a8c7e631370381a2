#include "base/err.h"

#include <stdio.h>
#include <string.h>

void
nr_diag_add_name(struct nr_diag *d, const char *name)
{
    size_t i;

    if (!d || d->name[0] || !name)
        return;
    for (i = 0; i < sizeof(d->name) - 1 && name[i]; i++)
        d->name[i] = (char)(name[i] >= 0 && name[i] < 0x20 ? '?' : name[i]);
    d->name[i] = '\0';
}

void
nr_diag_record(struct nr_diag *d, enum nr_err err, int sys, size_t at,
    const char *what, const char *name)
{
    if (!d || d->err != NR_OK)
        return;
    *d = (struct nr_diag){ .err = err, .sys = sys, .at = at, .what = what };
    nr_diag_add_name(d, name);
}

void
nr_diag_print(const struct nr_diag *d, char *buf, size_t n)
{
    char at[48] = "";

    if (d->at > 0)
        (void)snprintf(at, sizeof(at), " (at octet %zu)", d->at);
    (void)snprintf(buf, n, "%s%s%s%s%s%s", d->name, d->name[0] ? ": " : "",
        d->what ? d->what : nr_err_name(d->err), at, d->sys ? ": " : "",
        d->sys ? strerrordesc_np(d->sys) : "");
}

static const char *const names[] = {
    [NR_OK] = "ok",
    [NR_ENOMEM] = "out of memory",
    [NR_ELIMIT] = "limit exceeded",
    [NR_ETRUNC] = "input ends early",
    [NR_EFORMAT] = "malformed input",
    [NR_EDENIED] = "denied",
    [NR_ESYS] = "system error",
    [NR_ENOTFOUND] = "not found",
    [NR_EEXIST] = "exists already",
    [NR_EBUSY] = "busy",
    [NR_EDAMAGED] = "damaged",
};

const char *
nr_err_name(enum nr_err err)
{
    size_t i = (size_t)err;

    return i < sizeof(names) / sizeof(*names) && names[i] ? names[i]
                                                          : "unknown error";
}
