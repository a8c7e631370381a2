/* Years of lines that have none: RFC 3164 and its like. */
#include "logline/parse.h"

static int64_t
days(int64_t y, unsigned m, unsigned d)
{
    return nr_days_from_civil(y, m, d);
}

/* The latest year that puts M, D not after the day of LAST_S, one for zones
 * and clocks. */
static int64_t
year_before(int64_t last_s, unsigned m, unsigned d)
{
    int64_t y = nr_civil_from_s(last_s + NR_S_PER_DAY).year;

    return days(y, m, d) > nr_day_of(last_s + NR_S_PER_DAY) ? y - 1 : y;
}

/* The year nearest to the day that the name gives. */
static int64_t
year_near(const struct nr_years *y, unsigned m, unsigned d)
{
    int64_t best = INT64_MAX, year = y->name_year;

    for (int64_t c = y->name_year - 1; c <= y->name_year + 1; c++) {
        int64_t far = days(c, m, d) - y->name_days;

        far = far < 0 ? -far : far;
        if (far < best) {
            best = far;
            year = c;
        }
    }
    return year;
}

/* The year that comes after the line before. */
static int64_t
year_next(const struct nr_logfile *f, unsigned m, unsigned d)
{
    const struct nr_years *y = &f->years;
    int64_t least = days(y->year, y->mon, y->day) -
        NR_LOGFILE_BACK_S / NR_S_PER_DAY;
    int64_t c = y->year - 1;

    while (days(c, m, d) < least || (y->given && c < y->name_year))
        c++;
    while (!y->given && f->last_s != NR_TIME_NONE &&
        days(c, m, d) > nr_day_of(f->last_s + NR_S_PER_DAY))
        c--;
    return c;
}

/* False: nothing says it. */
static bool
find_year(const struct nr_logfile *f, unsigned m, unsigned d, int64_t *year)
{
    const struct nr_years *y = &f->years;

    if (y->known && y->mon == m && y->day == d)
        *year = y->year;
    else if (y->given && y->month)
        *year = year_near(y, m, d);
    else if (y->known)
        *year = year_next(f, m, d);
    else if (y->given)
        *year = y->name_year;
    else if (f->last_s != NR_TIME_NONE)
        *year = y->pre_mon != 0
            ? year_before(f->last_s, y->pre_mon, y->pre_day) - y->wraps
            : year_before(f->last_s, m, d);
    else
        return false;
    return true;
}

/* A line of that day was met: what follows is dated from there. */
static void
step(struct nr_logfile *f, unsigned m, unsigned d)
{
    struct nr_years *y = &f->years;
    int64_t year;

    y->used = true;
    if ((y->known && y->mon == m && y->day == d) || !find_year(f, m, d, &year))
        return;
    y->known = true;
    y->year = year;
    y->mon = m;
    y->day = d;
}

bool
nr_year_of(struct nr_logfile *f, unsigned m, unsigned d, int64_t *year)
{
    struct nr_years *y = &f->years;

    if (!y->headed) {
        y->inside++;
        if (y->deep)
            step(f, m, d);
    }
    return find_year(f, m, d, year);
}

void
nr_years_line(struct nr_logfile *f, struct nr_bytes line)
{
    struct nr_years *y = &f->years;
    unsigned m, d;

    y->headed = nr_time_head_day(line, &m, &d);
    if (!y->headed)
        return;
    y->heads++;
    step(f, m, d);
}

/* As lines step from day to day, without a year. */
void
nr_years_prescan(struct nr_years *y, unsigned mon, unsigned day)
{
    /* any leap year: only differences count */
    const int64_t year = 2016;
    const int64_t back = NR_LOGFILE_BACK_S / NR_S_PER_DAY;
    int64_t step;

    if (y->pre_mon == mon && y->pre_day == day)
        return;
    if (y->pre_mon != 0) {
        step = days(year, mon, day) - days(year, y->pre_mon, y->pre_day);
        if (step < -back)
            y->wraps++;
        else if (step >= 366 - back)
            y->wraps--;
    }
    y->pre_mon = mon;
    y->pre_day = day;
}
