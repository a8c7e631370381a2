/*
 * Withholding of small cells (k-anonymity with complementary suppression).
 *
 * The cells obey sums: in a row answered = seen + not_seen + cannot_say, in a
 * column total = sum of the sectors. Withholding a small cell alone would let
 * a reader subtract it out. So further cells are withheld, the smallest first,
 * until (a) no withheld cell is determined by the sums, which is a question of
 * linear algebra over the withheld cells, and (b) the withheld cells of every
 * sum together count at least k, so that no sum forces them near zero.
 *
 * How many have not answered (asked - answered) is deliberately no cell: it
 * says who is late, not who was hit.
 */
#include "picture/facts.h"

/* Arithmetic modulo a prime stands for the rationals: all coefficients are
 * 0, 1 or -1, and a false zero would only withhold one cell less in 2^31. */
#define PRIME UINT64_C(2147483647)

struct grid {
    struct nr_extent_row *total, *sectors;
    size_t n;          /* sectors */
    size_t unknowns;   /* withheld cells */
    uint32_t *of_cell; /* cell number -> column of the matrix + 1, or 0 */
    uint64_t *m;       /* equations by unknowns */
    size_t equations;
};

static struct nr_extent_row *
row_at(const struct grid *g, size_t i)
{
    return i ? &g->sectors[i - 1] : g->total;
}

/* One sum: up to n + 1 cells, the first is the sum of the others. */
struct sum {
    size_t n;

    struct {
        uint32_t row, col;
    } cell[NR_EXTENT_SECTORS_MAX + 2];
};

static size_t
n_sums(const struct grid *g)
{
    return g->n + 1 + NR_EXTENT_CELLS;
}

static void
sum_at(const struct grid *g, size_t k, struct sum *s)
{
    static const enum nr_extent_cell in_row[] = { NR_EXTENT_C_ANSWERED,
        NR_EXTENT_C_SEEN, NR_EXTENT_C_NOT_SEEN, NR_EXTENT_C_CANNOT_SAY };

    s->n = 0;
    if (k <= g->n) {
        for (; s->n < sizeof(in_row) / sizeof(in_row[0]); s->n++) {
            s->cell[s->n].row = (uint32_t)k;
            s->cell[s->n].col = (uint32_t)in_row[s->n];
        }
        return;
    }
    for (; s->n <= g->n; s->n++) {
        s->cell[s->n].row = (uint32_t)s->n;
        s->cell[s->n].col = (uint32_t)(k - g->n - 1);
    }
}

static bool
is_hidden(const struct grid *g, const struct sum *s, size_t i)
{
    return row_at(g, s->cell[i].row)->hidden[s->cell[i].col];
}

static uint64_t
value(const struct grid *g, const struct sum *s, size_t i)
{
    return row_at(g, s->cell[i].row)->n[s->cell[i].col];
}

/* Withhold the smallest shown cell of the sum, a part before the whole. */
static bool
hide_one(const struct grid *g, const struct sum *s)
{
    size_t best = s->n;

    for (size_t i = 1; i < s->n; i++)
        if (!is_hidden(g, s, i) &&
            (best == s->n || value(g, s, i) < value(g, s, best)))
            best = i;
    if (best == s->n && !is_hidden(g, s, 0))
        best = 0;
    if (best == s->n)
        return false;
    row_at(g, s->cell[best].row)->hidden[s->cell[best].col] = true;
    return true;
}

/* (b): true when a cell more was withheld. */
static bool
fill_sums(const struct grid *g)
{
    bool changed = false;

    for (size_t k = 0; k < n_sums(g); k++) {
        uint64_t parts = 0;
        size_t hidden = 0;
        struct sum s;

        sum_at(g, k, &s);
        for (size_t i = 0; i < s.n; i++)
            if (is_hidden(g, &s, i)) {
                hidden++;
                parts += i ? value(g, &s, i) : 0;
            }
        if (hidden &&
            (hidden < 2 || (!is_hidden(g, &s, 0) && parts < NR_EXTENT_K)))
            changed |= hide_one(g, &s);
    }
    return changed;
}

static void
number(struct grid *g)
{
    g->unknowns = 0;
    for (size_t r = 0; r <= g->n; r++)
        for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
            g->of_cell[r * NR_EXTENT_CELLS + c] = row_at(g, r)->hidden[c]
                ? (uint32_t)++g->unknowns
                : 0;
}

static void
fill_matrix(struct grid *g)
{
    g->equations = n_sums(g);
    memset(g->m, 0, g->equations * g->unknowns * sizeof(g->m[0]));
    for (size_t k = 0; k < g->equations; k++) {
        struct sum s;

        sum_at(g, k, &s);
        for (size_t i = 0; i < s.n; i++) {
            uint32_t u =
                g->of_cell[s.cell[i].row * NR_EXTENT_CELLS + s.cell[i].col];

            if (u)
                g->m[k * g->unknowns + u - 1] = i ? PRIME - 1 : 1;
        }
    }
}

static uint64_t
inverse(uint64_t v)
{
    uint64_t r = 1;

    for (uint64_t e = PRIME - 2; e; e >>= 1, v = v * v % PRIME)
        if (e & 1)
            r = r * v % PRIME;
    return r;
}

static void
subtract(uint64_t *to, const uint64_t *from, uint64_t factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (to[i] + (PRIME - factor) * from[i]) % PRIME;
}

/* Reduced row echelon form: a row with one entry determines its unknown. */
static void
eliminate(struct grid *g)
{
    size_t done = 0, w = g->unknowns;

    for (size_t c = 0; c < w && done < g->equations; c++) {
        size_t p = done;
        uint64_t *row = g->m + done * w, inv;

        while (p < g->equations && !g->m[p * w + c])
            p++;
        if (p == g->equations)
            continue;
        for (size_t i = 0; i < w; i++) {
            uint64_t t = row[i];

            row[i] = g->m[p * w + i];
            g->m[p * w + i] = t;
        }
        inv = inverse(row[c]);
        for (size_t i = 0; i < w; i++)
            row[i] = row[i] * inv % PRIME;
        for (size_t r = 0; r < g->equations; r++)
            if (r != done && g->m[r * w + c])
                subtract(g->m + r * w, row, g->m[r * w + c], w);
        done++;
    }
}

/* Number (from 1) of an unknown that the sums determine; 0: none. */
static uint32_t
determined(struct grid *g)
{
    number(g);
    if (!g->unknowns)
        return 0;
    fill_matrix(g);
    eliminate(g);
    for (size_t r = 0; r < g->equations; r++) {
        uint32_t only = 0;
        size_t n = 0;

        for (size_t i = 0; i < g->unknowns; i++)
            if (g->m[r * g->unknowns + i]) {
                n++;
                only = (uint32_t)i + 1;
            }
        if (n == 1)
            return only;
    }
    return 0;
}

/* (a): withhold one cell more in a sum that holds unknown U. */
static bool
loosen(const struct grid *g, uint32_t u)
{
    for (size_t k = 0; k < n_sums(g); k++) {
        struct sum s;

        sum_at(g, k, &s);
        for (size_t i = 0; i < s.n; i++)
            if (g->of_cell[s.cell[i].row * NR_EXTENT_CELLS + s.cell[i].col] ==
                    u &&
                hide_one(g, &s))
                return true;
    }
    return false;
}

static void
blank(struct nr_extent_row *r)
{
    for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
        if (r->hidden[c])
            r->n[c] = 0;
    if (r->hidden[NR_EXTENT_C_SEEN])
        r->earliest_s = r->latest_s = NR_TIME_NONE;
    if (r->earliest_s != NR_TIME_NONE)
        r->earliest_s = nr_day_of(r->earliest_s) * NR_S_PER_DAY;
    if (r->latest_s != NR_TIME_NONE)
        r->latest_s = nr_day_of(r->latest_s) * NR_S_PER_DAY;
}

enum nr_err
nr_extent_hide(struct nr_extent_row *total, struct nr_extent_row *sectors,
    size_t n, struct nr_arena *a)
{
    struct grid g = { .total = total, .sectors = sectors, .n = n };
    size_t cells = (n + 1) * NR_EXTENT_CELLS;
    bool again = true;

    if (n > NR_EXTENT_SECTORS_MAX + 1)
        return NR_ELIMIT;
    g.of_cell = nr_new(a, uint32_t, cells);
    g.m = nr_new(a, uint64_t, cells * n_sums(&g));
    if (!g.of_cell || !g.m)
        return NR_ENOMEM;
    for (size_t r = 0; r <= n; r++)
        for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
            row_at(&g, r)->hidden[c] = row_at(&g, r)->n[c] < NR_EXTENT_K;
    while (again) {
        uint32_t u;

        again = fill_sums(&g);
        if (again)
            continue;
        u = determined(&g);
        again = u && loosen(&g, u);
    }
    for (size_t r = 0; r <= n; r++)
        blank(row_at(&g, r));
    return NR_OK;
}
