/* SPDX-License-Identifier: Apache-2.0 */
/* The style sheet and the icon. They are files of their own, because the pages'
 * security policy forbids inline style. */
#include "web/handlers.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2327;--soft:#667079;--line:#e3e6e8;"
    "--paper:#fff;--raised:#f7f8f9;--link:#1a5fb4;--good:#1a7f4b;--bad:#b3261e;--warn:#"
    "8a5a00;"
    "--neg:#3b6ea8;--zero:#d5d9dd;--pos:#d98a3d}"
    "@media(prefers-color-scheme:dark){:root{--ink:#dfe3e6;--soft:#949da5;"
    "--line:#2c3338;--paper:#14181b;--raised:#1b2024;--link:#7fb2f0;--good:#5cc48d;"
    "--bad:#ff8a80;--warn:#e6b450;--neg:#5d94d3;--zero:#3a4248;--pos:#e0a05c}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 4rem;"
    "background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}"
    "a:focus-visible{outline:2px solid var(--link);outline-offset:2px}"
    "header{display:flex;align-items:baseline;gap:.75rem;flex-wrap:wrap;"
    "padding-bottom:.75rem;border-bottom:1px solid var(--line);color:var(--soft)}"
    "header b{color:var(--ink);font-size:1.05rem}header a{color:inherit}"
    "header nav{margin-left:auto;display:flex;gap:1rem;font-size:.9rem}"
    "h1{font-size:1.45rem;font-weight:600;margin:1.5rem 0 .25rem;"
    "overflow-wrap:anywhere}"
    "h2{font-size:1.1rem;font-weight:600;margin:2rem 0 .5rem;overflow-wrap:anywhere}"
    "p{margin:.25rem 0 1rem;color:var(--soft)}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th{font-weight:500;color:var(--soft);text-align:left;font-size:.85rem;"
    "white-space:nowrap}"
    "th,td{padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);"
    "vertical-align:middle}"
    "td{white-space:nowrap}td.name{white-space:normal;overflow-wrap:anywhere;"
    "min-width:12rem}"
    ".num{text-align:right}tbody tr:hover{background:var(--raised)}"
    ".good{color:var(--good)}.bad{color:var(--bad);font-weight:600}.warn{color:var(--"
    "warn);font-weight:600}"
    ".soft{color:var(--soft)}code{font:.88em/1.4 ui-monospace,Menlo,Consolas,monospace;"
    "overflow-wrap:anywhere}"
    ".bar{display:inline-block;width:7rem;height:.6rem;vertical-align:middle}"
    ".neg{fill:var(--neg)}.zero{fill:var(--zero)}.pos{fill:var(--pos)}"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));"
    "gap:0 2rem;margin:1rem 0}"
    "dl div{display:flex;justify-content:space-between;gap:1rem;"
    "padding:.35rem 0;border-bottom:1px solid var(--line)}"
    "dt{color:var(--soft)}dd{margin:0;text-align:right;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    ".wide{grid-column:1/-1}"
    "table.flips{width:auto}table.flips td,table.flips th{text-align:right;"
    "padding-right:1.5rem}";

/* Three bars: -1, 0, +1. */
static const char icon[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
    "<rect width=\"16\" height=\"16\" rx=\"3\" fill=\"#1d2327\"/>"
    "<rect x=\"3\" y=\"8\" width=\"2.4\" height=\"5\" fill=\"#5d94d3\"/>"
    "<rect x=\"6.8\" y=\"7\" width=\"2.4\" height=\"2\" fill=\"#949da5\"/>"
    "<rect x=\"10.6\" y=\"3\" width=\"2.4\" height=\"5\" fill=\"#e0a05c\"/></svg>";

int serve_style(const struct web_config *web, const struct request *request,
                struct reply *reply, struct failure *failure)
{
    (void)web, (void)request, (void)failure;
    reply->type = "text/css; charset=utf-8";
    reply->cacheable = true;
    text_put(&reply->body, style);
    return 0;
}

int serve_icon(const struct web_config *web, const struct request *request,
               struct reply *reply, struct failure *failure)
{
    (void)web, (void)request, (void)failure;
    reply->type = "image/svg+xml";
    reply->cacheable = true;
    text_put(&reply->body, icon);
    return 0;
}
