#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum nr_err
nr_fail(struct nr_diag *d, enum nr_err err, size_t at, const char *what)
{
    if (d && d->err == NR_OK)
        *d = (struct nr_diag){ .err = err, .at = at, .what = what };
    return err;
}

enum nr_err
nr_fail_sys(struct nr_diag *d, const char *what)
{
    if (d && d->err == NR_OK)
        *d = (struct nr_diag){ .err = NR_ESYS, .sys = errno, .what = what };
    return NR_ESYS;
}

void
nr_diag_add_name(struct nr_diag *d, const char *name)
{
    size_t i;

    if (!d || d->name[0] || !name)
        return;
    for (i = 0; name[i] && i < sizeof(d->name) - 1; i++)
        d->name[i] = (unsigned char)name[i] < 0x20 ? '?' : name[i];
    d->name[i] = '\0';
}

enum nr_err
nr_fail_name(struct nr_diag *d, enum nr_err err, const char *what,
    const char *name)
{
    if (d && d->err == NR_OK) {
        nr_fail(d, err, 0, what);
        nr_diag_add_name(d, name);
    }
    return err;
}

enum nr_err
nr_fail_file(struct nr_diag *d, const char *what, const char *path)
{
    if (d && d->err == NR_OK) {
        nr_fail_sys(d, what);
        nr_diag_add_name(d, path);
    }
    return NR_ESYS;
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
