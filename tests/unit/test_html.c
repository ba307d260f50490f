#include "worker/html.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#define ARENA_BYTES_MAX (256u << 20)
#define HOSTILE_BYTES (1u << 20)
#define HOSTILE_MS_MAX 2000 /* sanitizers on a busy machine; a quadratic parser takes minutes */

/* The tree as text: p('words' b('more')). Texts have their references decoded. */
static void
dump(struct buffer *out, const struct html_document *document, uint32_t top)
{
    uint32_t ends[HTML_DEPTH_MAX + 2];
    size_t depth = 0;
    uint32_t last = document->nodes[top].end;
    for (uint32_t i = top; i < last; i++) {
        const struct html_node *node = &document->nodes[i];
        while (depth > 0 && i >= ends[depth - 1]) {
            buffer_append_byte(out, ')');
            depth--;
        }
        if (out->size > 0 && out->data[out->size - 1] != '(') {
            buffer_append_byte(out, ' ');
        }
        if (node->tag == HTML_TAG_TEXT) {
            buffer_append_byte(out, '\'');
            html_decode(out, html_text(document, i), false);
            buffer_append_byte(out, '\'');
            continue;
        }
        buffer_append_string(out, node->tag == HTML_TAG_OTHER ? "other" : html_tag_name(node->tag));
        if (node->end > i + 1) {
            buffer_append_byte(out, '(');
            cr_assert_lt(depth, HTML_DEPTH_MAX + 2);
            ends[depth++] = node->end;
        }
    }
    for (; depth > 0; depth--) {
        buffer_append_byte(out, ')');
    }
}

/* What every document must satisfy, whatever the input was. */
static void
check(const struct html_document *document)
{
    cr_assert_geq(document->node_count, 2u);
    cr_assert_eq(document->nodes[0].end, document->node_count);
    for (uint32_t i = 1; i < document->node_count; i++) {
        const struct html_node *node = &document->nodes[i];
        cr_assert_lt(node->parent, i);
        cr_assert_gt(node->end, i);
        cr_assert_leq(node->end, document->nodes[node->parent].end);
        cr_assert_eq(node->depth, document->nodes[node->parent].depth + 1);
        cr_assert_leq(node->depth, HTML_DEPTH_MAX);
        cr_assert_leq((uint64_t)node->start + node->size, document->size);
    }
}

static char *
tree_of(struct arena *arena, const char *html, size_t size)
{
    struct html_document document;
    cr_assert_eq(html_parse(arena, slice_of(html, size), &document), OK);
    check(&document);
    struct buffer out;
    buffer_init(&out, ARENA_BYTES_MAX);
    if (document.body != 0) {
        dump(&out, &document, document.body);
    }
    char *text = arena_copy(arena, buffer_text(&out), out.size);
    buffer_release(&out);
    return text;
}

struct tree_case {
    const char *html;
    const char *tree; /* of the body */
};

static void
run_cases(const struct tree_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_MAX);
        const char *tree = tree_of(&arena, cases[i].html, strlen(cases[i].html));
        cr_expect_str_eq(tree, cases[i].tree, "%s\n gives %s\n  not %s", cases[i].html, tree,
                         cases[i].tree);
        arena_release(&arena);
    }
}

#define RUN(cases) run_cases(cases, sizeof(cases) / sizeof((cases)[0]))

Test(html, head_and_body_are_implied_and_merged)
{
    static const struct tree_case cases[] = {
        {"", ""},
        {"<title>a</title>", ""},
        {"a", "body('a')"},
        {"<html><head><title>x</title></head><body class=a><p>b</body></html>", "body(p('b'))"},
        {"<!DOCTYPE html> <title>x</title> <p>a", "body(p('a'))"},
        {"<p>a<body id=x>b</p>", "body(p('a' 'b'))"},
        {"<p>a</body>b</html>c", "body(p('a' 'b' 'c'))"},
        {"<head><noscript><img></noscript><meta>", "body(img meta)"},
        {"<head></head><link><p>a", "body(p('a'))"},
    };
    RUN(cases);
}

Test(html, end_tags_are_implied_where_the_standard_says_so)
{
    static const struct tree_case cases[] = {
        {"<p>a<p>b<div>c</div>d", "body(p('a') p('b') div('c') 'd')"},
        {"<ul><li>a<li>b<ul><li>c</ul><li>d</ul>e",
         "body(ul(li('a') li('b' ul(li('c'))) li('d')) 'e')"},
        {"<dl><dt>a<dd>b<dt>c</dl>", "body(dl(dt('a') dd('b') dt('c')))"},
        {"<table><tr><td>a<td>b<tr><th>c</table>d",
         "body(table(tr(td('a') td('b')) tr(th('c'))) 'd')"},
        {"<table><thead><tr><td>a<tbody><tr><td>b</table>",
         "body(table(thead(tr(td('a'))) tbody(tr(td('b')))))"},
        {"<table><tr><td><p>a<table><tr><td>b</table>c</table>",
         "body(table(tr(td(p('a') table(tr(td('b'))) 'c'))))"},
        {"<select><option>a<option>b<optgroup><option>c</select>d",
         "body(select(option('a') option('b') optgroup(option('c'))) 'd')"},
        {"<a href=1>a<a href=2>b</a>", "body(a('a') a('b'))"},
        {"<a><div>a<a>b</a>c</div></a>", "body(a(div('a' a('b') 'c')))"},
        {"<h1>a<h2>b</h3>c", "body(h1('a') h2('b') 'c')"},
        {"<button>a<button>b", "body(button('a') button('b'))"},
        {"<p><button><p>a</button>b</p>c", "body(p(button(p('a')) 'b') 'c')"},
        {"<ruby>a<rt>b<rt>c</ruby>d", "body(ruby('a' rt('b') rt('c')) 'd')"},
        {"<p>a<table><tr><td>b</table>", "body(p('a') table(tr(td('b'))))"},
        {"<td>a</td><tr>b", "body('a' 'b')"},
    };
    RUN(cases);
}

Test(html, stray_and_crossed_end_tags_do_not_leave_their_scope)
{
    static const struct tree_case cases[] = {
        {"<div>a</p>b</div>c", "body(div('a' 'b') 'c')"},
        {"<div><table><tr><td>a</div>b</table>c</div>d",
         "body(div(table(tr(td('a' 'b'))) 'c') 'd')"},
        {"<p><b>a</p>b</b>", "body(p(b('a')) 'b')"},
        {"<div><span>a</div>b</span>", "body(div(span('a')) 'b')"},
        {"<span><div>a</span>b</div>c", "body(span(div('a' 'b') 'c'))"},
        {"<ul><li><ul></li>a</ul>b</ul>", "body(ul(li(ul('a') 'b')))"},
        {"<form><div></form>a</div><form>b</form>", "body(form(div('a') form('b')))"},
        {"</div></p>a</br>b", "body('a' br 'b')"},
        {"<x-y>a</x-z>b</x-y>c", "body(other('a' 'b') 'c')"},
    };
    RUN(cases);
}

Test(html, comments_end_where_browsers_end_them)
{
    static const struct tree_case cases[] = {
        {"a<!-- x -->b", "body('a' 'b')"},
        {"a<!-->b", "body('a' 'b')"},
        {"a<!--->b", "body('a' 'b')"},
        {"a<!--x--!>b", "body('a' 'b')"},
        {"a<!--x--y-->b", "body('a' 'b')"},
        {"a<!--x->b-->c", "body('a' 'c')"},
        {"a<!----->b", "body('a' 'b')"},
        {"a<!x>b<?y>c</ >d", "body('a' 'b' 'c' 'd')"},
        {"a<!--x", "body('a')"},
        {"a<![CDATA[x]]>b", "body('a' 'b')"},
        {"a<!-- <p> > -- > --->b", "body('a' 'b')"},
    };
    RUN(cases);
}

Test(html, raw_text_ends_at_its_own_end_tag_only)
{
    static const struct tree_case cases[] = {
        {"<p><script>a</b>'</scripty>b</SCRIPT x='>'>c",
         "body(p(script('a</b>'</scripty>b') 'c'))"},
        {"<p><style><p></style>a", "body(p(style('<p>') 'a'))"},
        {"<p><textarea><b>x</textarea>a", "body(p(textarea('<b>x') 'a'))"},
        {"<p><script><!--<script>a</script>--></script>b",
         "body(p(script('<!--<script>a</script>-->') 'b'))"},
        {"<p><script><!--a</script>b", "body(p(script('<!--a') 'b'))"},
        {"<p><script>a", "body(p(script('a')))"},
        {"<p><script></script", "body(p(script('</script')))"},
        {"<plaintext>a</plaintext>b", "body(plaintext('a</plaintext>b'))"},
        {"<p><iframe><p>a</iframe>b", "body(p(iframe('<p>a') 'b'))"},
    };
    RUN(cases);
}

Test(html, foreign_content_has_its_own_rules_and_is_left_at_html)
{
    static const struct tree_case cases[] = {
        {"<svg><path/><g/>a</svg>b", "body(svg(other other 'a') 'b')"},
        {"<svg><title>a</title></svg>b", "body(svg(title('a')) 'b')"},
        {"<svg><![CDATA[<p>]]></svg>b", "body(svg('<p>') 'b')"},
        {"<svg><g>a<p>b", "body(svg(other('a')) p('b'))"},
        {"<svg/>a", "body(svg 'a')"},
        {"<div/>a</div>b", "body(div('a') 'b')"},
    };
    RUN(cases);
}

Test(html, a_lone_markup_sign_is_text)
{
    static const struct tree_case cases[] = {
        {"a < b <3 c", "body('a < b <3 c')"},
        {"a<", "body('a<')"},
        {"a</", "body('a</')"},
        {"a<b", "body('a')"},
        {"a<b c='d", "body('a')"},
        {"a<b =x>c", "body('a' b('c'))"},
        {"<p title=\"a>b\">c", "body(p('c'))"},
    };
    RUN(cases);
}

Test(html, character_references_are_decoded_as_in_browsers)
{
    static const struct tree_case cases[] = {
        {"&amp;&lt;&gt;&quot;&nbsp;&eacute;", "body('&<>\"\xC2\xA0\xC3\xA9')"},
        {"&amp &copy2 &notit; &notin;", "body('& \xC2\xA9"
                                        "2 \xC2\xACit; \xE2\x88\x89')"},
        {"&#65;&#x42;&#x43 &#;&#x;", "body('ABC &#;&#x;')"},
        {"&#x80;&#150;", "body('\xE2\x82\xAC\xE2\x80\x93')"},
        {"&#0;&#xD800;&#x110000;&#99999999999;",
         "body('\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD')"},
        {"&nosuch; & &; &a", "body('&nosuch; & &; &a')"},
        {"&NotEqualTilde;", "body('\xE2\x89\x82\xCC\xB8')"},
        {"&CounterClockwiseContourIntegral;", "body('\xE2\x88\xB3')"},
    };
    RUN(cases);
}

static void
expect_attribute(const char *html, const char *name, const char *value)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct html_document document;
    cr_assert_eq(html_parse(&arena, slice_string(html), &document), OK);
    cr_assert_neq(document.body, 0u);
    struct slice found = html_attribute(&document, document.body + 1, name);
    if (value == NULL) {
        cr_expect_null(found.data, "%s has no %s", html, name);
    } else {
        struct buffer out;
        buffer_init(&out, 4096);
        html_decode(&out, found, true);
        cr_expect_not_null(found.data, "%s has %s", html, name);
        cr_expect_str_eq(buffer_text(&out), value, "%s: %s", html, buffer_text(&out));
        buffer_release(&out);
    }
    arena_release(&arena);
}

Test(html, attributes_are_found_in_every_spelling)
{
    expect_attribute("<p class=a>", "class", "a");
    expect_attribute("<p CLASS = 'a b' id=x>", "class", "a b");
    expect_attribute("<p CLASS = 'a b' id=x>", "id", "x");
    expect_attribute("<p hidden>", "hidden", "");
    expect_attribute("<p hidden/>", "hidden", "");
    expect_attribute("<p/id=a/b>", "id", "a/b");
    expect_attribute("<p id=a id=b>", "id", "a");
    expect_attribute("<p title='a > b'>", "title", "a > b");
    expect_attribute("<p id=\"a\"class=b>", "class", "b");
    expect_attribute("<p>", "id", NULL);
    expect_attribute("<p idx=a>", "id", NULL);
    expect_attribute("<a href='?a=1&copy=2&amp;lt=3'>", "href", "?a=1&copy=2&lt=3");
}

Test(html, only_the_first_64_attributes_of_a_tag_are_read)
{
    struct buffer page;
    buffer_init(&page, HOSTILE_BYTES);
    buffer_append_string(&page, "<p ");
    for (int i = 0; i < 100; i++) {
        buffer_printf(&page, "a%d=%d ", i, i);
    }
    buffer_append_string(&page, ">b");
    expect_attribute(buffer_text(&page), "a63", "63");
    expect_attribute(buffer_text(&page), "a64", NULL);
    buffer_release(&page);
}

Test(html, deeper_elements_hang_on_the_depth_cap_and_close_nothing_else)
{
    struct buffer page;
    buffer_init(&page, HOSTILE_BYTES);
    for (int i = 0; i < 2000; i++) {
        buffer_append_string(&page, "<div>");
    }
    buffer_append_string(&page, "deep");
    for (int i = 0; i < 2000; i++) {
        buffer_append_string(&page, "</div>");
    }
    buffer_append_string(&page, "<p>after");
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct html_document document;
    cr_assert_eq(html_parse(&arena, buffer_slice(&page), &document), OK);
    check(&document);
    uint32_t last = document.node_count - 1;
    cr_expect_eq(document.nodes[last].tag, HTML_TAG_TEXT);
    cr_expect_eq(document.nodes[last].depth, 3, "the paragraph is the body's child again");
    arena_release(&arena);
    buffer_release(&page);
}

/* The hostile pages on which well-known parsers hang or eat gigabytes. */
struct hostile_case {
    const char *head;
    const char *repeated;
};

static const struct hostile_case hostile_cases[] = {
    {"", "<div>"},
    {"", "<font color=1><p>"},
    {"<p ", "a=1 "},
    {"<p ", "a='1'b"},
    {"", "<form><div></form>"},
    {"", "<ul><li>"},
    {"<select>", "<option>"},
    {"", "<b>"},
    {"", "<a><div>"},
    {"", "<table><tr><td>"},
    {"", "<table>"},
    {"", "</p>"},
    {"", "</div>"},
    {"<div><table><td>", "<span></div>"},
    {"", "<h1></h2>"},
    {"", "<"},
    {"", "</"},
    {"", "&"},
    {"", "&a"},
    {"", "&#1"},
    {"", "<!--"},
    {"", "<!-- --"},
    {"<script>", "<!--<script>"},
    {"<script>", "</script "},
    {"<title>", "</titl"},
    {"", "<template>"},
    {"", "<svg>"},
    {"", "<svg><desc><p>"},
    {"<svg>", "<![CDATA["},
    {"", "<button><p>"},
    {"", "<x y='"},
    {"", "\xFF\x80"},
    {"", "words of a text "},
    {"", "<dl><dt><dd>"},
    {"", "<i></b>"},
    {"<x1><x2><x3>", "</x9>"},
};

Test(html, hostile_pages_take_linear_time_and_bounded_memory)
{
    for (size_t i = 0; i < sizeof hostile_cases / sizeof hostile_cases[0]; i++) {
        const struct hostile_case *hostile = &hostile_cases[i];
        struct buffer page;
        buffer_init(&page, HOSTILE_BYTES + 64);
        buffer_append_string(&page, hostile->head);
        while (page.size < HOSTILE_BYTES) {
            buffer_append_string(&page, hostile->repeated);
        }
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_MAX);
        struct html_document document;
        struct timespec before;
        struct timespec after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        cr_assert_eq(html_parse(&arena, buffer_slice(&page), &document), OK);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        long ms =
            (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
        cr_expect_lt(ms, HOSTILE_MS_MAX, "%s%s takes %ld ms", hostile->head, hostile->repeated, ms);
        cr_expect_leq(arena.used, HTML_NODES_MAX * sizeof(struct html_node) + (1u << 20));
        check(&document);
        arena_release(&arena);
        buffer_release(&page);
    }
}

Test(html, a_page_of_too_many_nodes_is_cut_and_says_so)
{
    struct buffer page;
    buffer_init(&page, 16u << 20);
    for (uint32_t i = 0; i < HTML_NODES_MAX; i++) {
        buffer_append_string(&page, "<br>");
    }
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct html_document document;
    cr_assert_eq(html_parse(&arena, buffer_slice(&page), &document), OK);
    cr_expect(document.is_truncated);
    cr_expect_eq(document.node_count, HTML_NODES_MAX);
    arena_release(&arena);
    buffer_release(&page);
}

Test(html, without_memory_it_says_so)
{
    struct arena arena;
    arena_init(&arena, 1024);
    struct html_document document;
    cr_expect_eq(html_parse(&arena, slice_string("<p>a<p>b"), &document), ERROR_NO_MEMORY);
    arena_release(&arena);
}

/* Every prefix of a page with all kinds of markup: no read past the end. */
Test(html, every_cut_of_a_page_parses)
{
    static const char page[] = "<!DOCTYPE html><html lang=en><head><title>a &amp; "
                               "b</title><script>x<!--<script></script>-->"
                               "</script></head><body class='a b'><p title=\"x\">a &#x41; b<!-- c "
                               "--><svg><![CDATA[d]]></svg>"
                               "<table><tr><td>e</table></br><textarea>f</textarea></body></html>";
    for (size_t size = 0; size < sizeof page; size++) {
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_MAX);
        char *copy = malloc(size + 1);
        cr_assert_not_null(copy);
        memcpy(copy, page, size);
        struct html_document document;
        cr_assert_eq(html_parse(&arena, slice_of(copy, size), &document), OK);
        check(&document);
        free(copy);
        arena_release(&arena);
    }
}

static char *
file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    cr_assert_geq(size, 0);
    rewind(file);
    char *data = malloc((size_t)size + 1);
    cr_assert_not_null(data);
    cr_assert_eq(fread(data, 1, (size_t)size, file), (size_t)size);
    data[size] = '\0';
    fclose(file);
    *ret_size = (size_t)size;
    return data;
}

/* Parses each input of a file of html5lib's tree tests; returns their number. */
static size_t
vectors_run(const char *path)
{
    size_t size = 0;
    char *data = file_read(path, &size);
    cr_assert_not_null(data);
    size_t count = 0;
    for (char *at = data; (at = strstr(at, "#data\n")) != NULL; count++) {
        at += strlen("#data\n");
        char *end = strstr(at, "\n#errors");
        if (end == NULL) {
            break;
        }
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_MAX);
        tree_of(&arena, at, (size_t)(end - at));
        arena_release(&arena);
        at = end;
    }
    free(data);
    return count;
}

Test(html, every_input_of_the_tree_construction_vectors_parses)
{
    DIR *folder = opendir(SHARED_DATA "/vectors/html/tree-construction");
    if (folder == NULL) {
        cr_skip_test("no shared data here");
    }
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strstr(entry->d_name, ".dat") != NULL) {
            char path[4096];
            snprintf(path, sizeof path, "%s/vectors/html/tree-construction/%s", SHARED_DATA,
                     entry->d_name);
            count += vectors_run(path);
        }
    }
    closedir(folder);
    cr_expect_gt(count, 1000u);
}
