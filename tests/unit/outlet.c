/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of outlet.c: what is taken, kept, lost and in which order. */
#include "common/outlet.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A reader that takes what it is allowed to. */
static char taken[4 * OUTLET_KEPT];
static size_t taken_len, room, most_at_once;
static int failure;

static int take(struct outlet *o, const char *line, size_t len)
{
    (void)o;
    if (failure != 0)
        return failure;
    size_t n = len < most_at_once ? len : most_at_once;
    n = n < room ? n : room;
    if (n == 0)
        return -EAGAIN;
    memcpy(taken + taken_len, line, n);
    taken_len += n;
    taken[taken_len] = '\0';
    room -= n;
    return (int)n;
}

static struct outlet *begin(size_t first_room)
{
    static struct outlet o;

    memset(&o, 0, sizeof o);
    o.send = take;
    taken_len = 0;
    taken[0] = '\0';
    room = first_room;
    most_at_once = SIZE_MAX;
    failure = 0;
    return &o;
}

static void put(struct outlet *o, const char *line)
{
    outlet_put(o, line, strlen(line));
}

static void a_reader_with_room_gets_lines_at_once(void **state)
{
    (void)state;
    struct outlet *o = begin(100);

    put(o, "one\n");
    put(o, "two\n");
    assert_string_equal(taken, "one\ntwo\n");
    assert_true(outlet_flush(o));
    assert_int_equal(outlet_take_lost(o), 0);
}

static void what_has_no_room_is_kept_in_order(void **state)
{
    (void)state;
    struct outlet *o = begin(0);

    put(o, "one\n");
    put(o, "two\n");
    assert_false(outlet_flush(o));
    assert_string_equal(taken, "");
    room = 4;
    put(o, "three\n");
    assert_string_equal(taken, "one\n");
    room = 100;
    put(o, "four\n");
    assert_string_equal(taken, "one\ntwo\nthree\nfour\n");
    assert_int_equal(outlet_take_lost(o), 0);
}

static void half_a_line_is_followed_by_its_other_half(void **state)
{
    (void)state;
    struct outlet *o = begin(2);

    put(o, "one\n");
    put(o, "two\n");
    assert_string_equal(taken, "on");
    room = 3;
    assert_false(outlet_flush(o));
    assert_string_equal(taken, "one\nt");
    most_at_once = 1;
    room = 100;
    assert_true(outlet_flush(o));
    assert_string_equal(taken, "one\ntwo\n");
}

static void more_than_fits_is_lost_and_counted_once(void **state)
{
    (void)state;
    struct outlet *o = begin(0);
    char line[1000];

    memset(line, 'x', sizeof line);
    for (int i = 0; i < 50; i++)
        outlet_put(o, line, sizeof line);
    assert_int_equal(outlet_take_lost(o), 0); /* no room to say so */
    room = SIZE_MAX;
    assert_int_equal(outlet_take_lost(o), 50 - OUTLET_KEPT / (sizeof line + 2));
    assert_int_equal(taken_len, OUTLET_KEPT / (sizeof line + 2) * sizeof line);
    assert_int_equal(outlet_take_lost(o), 0);
}

static void what_cannot_be_sent_at_all_is_lost_not_kept(void **state)
{
    (void)state;
    struct outlet *o = begin(0);

    put(o, "kept\n");
    failure = -EPIPE;
    put(o, "two\n");
    assert_true(outlet_flush(o));
    failure = 0;
    room = 100;
    assert_int_equal(outlet_take_lost(o), 2);
    assert_string_equal(taken, "");
}

static void kept_lines_can_be_taken_out_for_somebody_else(void **state)
{
    (void)state;
    struct outlet *o = begin(2);
    char line[OUTLET_LINE_MAX];

    put(o, "one\n");
    put(o, "two\n");
    assert_int_equal(outlet_take(o, line), 2);
    assert_memory_equal(line, "e\n", 2);
    assert_int_equal(outlet_take(o, line), 4);
    assert_memory_equal(line, "two\n", 4);
    assert_int_equal(outlet_take(o, line), 0);
    assert_true(outlet_flush(o));
}

static void a_child_forgets_what_its_parent_keeps(void **state)
{
    (void)state;
    struct outlet *o = begin(2);

    put(o, "one\n");
    outlet_forget(o);
    room = 100;
    put(o, "two\n");
    assert_string_equal(taken, "ontwo\n");
}

static void lines_of_all_sizes_up_to_the_most_go_through(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 255, 256, OUTLET_LINE_MAX, OUTLET_LINE_MAX + 1};
    char line[OUTLET_LINE_MAX + 1];

    memset(line, 'x', sizeof line);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct outlet *o = begin(0);
        outlet_put(o, line, sizes[i]);
        room = SIZE_MAX;
        assert_true(outlet_flush(o));
        assert_int_equal(taken_len, sizes[i] <= OUTLET_LINE_MAX ? sizes[i] : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_with_room_gets_lines_at_once),
        cmocka_unit_test(what_has_no_room_is_kept_in_order),
        cmocka_unit_test(half_a_line_is_followed_by_its_other_half),
        cmocka_unit_test(more_than_fits_is_lost_and_counted_once),
        cmocka_unit_test(what_cannot_be_sent_at_all_is_lost_not_kept),
        cmocka_unit_test(kept_lines_can_be_taken_out_for_somebody_else),
        cmocka_unit_test(a_child_forgets_what_its_parent_keeps),
        cmocka_unit_test(lines_of_all_sizes_up_to_the_most_go_through),
    };

    return cmocka_run_group_tests_name("outlet", tests, NULL, NULL);
}
