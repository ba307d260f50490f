/* The verbs of `thresh`, in the order of `thresh help`. */
#include "client/cli.h"

#include <string.h>

const struct verb verbs[] = {
    {"run", "[OPTION]... [URL|FILE|DIRECTORY|LIST|-]...",
     "fetch and extract what is named, here and now, and write the results",
     "Starts a private broker and workers, feeds them what is named, and writes a JSON line for "
     "each\n"
     "result. A name is an http(s) URL, a file (a document), a directory (all documents in it), a\n"
     "list (a file ending in .urls, .jsonl or .ndjson, gzip too), or - for a list on standard "
     "input.\n"
     "\n"
     "Examples:\n"
     "  thresh run https://example.com/\n"
     "  thresh run article.html notes.txt --output results.jsonl\n"
     "  cut -f2 pages.tsv | thresh run - --workers 4 > results.jsonl\n"
     "  thresh run --state crawl --output crawl.jsonl seeds.urls    # interrupted? run it again",
     SETTINGS_RUN, verb_run},
    {"feed", "[OPTION]... [URL|FILE|DIRECTORY|LIST|-]...", "submit tasks to a broker",
     "Submits what is named (as for 'thresh run') and says how much was accepted.\n"
     "\n"
     "Examples:\n"
     "  thresh feed https://example.com/\n"
     "  thresh feed --broker 10.0.0.5 --spool feeder.spool seeds.urls",
     SETTINGS_FEED, verb_feed},
    {"collect", "[OPTION]...", "read results from a broker",
     "Reads results under a name, whose position the broker keeps, writes them, and acknowledges\n"
     "what is safely written. Goes on until it is interrupted, unless told otherwise.\n"
     "\n"
     "Examples:\n"
     "  thresh collect --output results.jsonl\n"
     "  thresh collect --name archive --until-done --output archive.msgpack",
     SETTINGS_COLLECT, verb_collect},
    {"status", "[OPTION]...", "show what a broker has to do and has done",
     "Shows tasks by state, totals, workers and collectors.\n"
     "\n"
     "Examples:\n"
     "  thresh status\n"
     "  thresh status --json | jq .tasks",
     SETTINGS_CONTROL, verb_status},
    {"workers", "[OPTION]...", "list the workers of a broker",
     "Lists the workers that the broker knows.", SETTINGS_CONTROL, verb_workers},
    {"hosts", "[OPTION]...", "list the busiest hosts",
     "Lists hosts with what is queued, done and failed, and when they may be asked next.",
     SETTINGS_CONTROL, verb_hosts},
    {"dead", "[list|retry|purge] [OPTION]... [TASK]...",
     "list, retry or remove tasks that were given up",
     "Tasks whose attempts are used up are kept with their history until a person decides.\n"
     "\n"
     "Examples:\n"
     "  thresh dead\n"
     "  thresh dead retry --host example.com\n"
     "  thresh dead purge --outcome name_not_found",
     SETTINGS_CONTROL, verb_dead},
    {"pause", "[OPTION]...", "hand out no more tasks until 'thresh resume'",
     "The broker goes on taking tasks in and results; it hands none out.", SETTINGS_CONTROL,
     verb_steer},
    {"resume", "[OPTION]...", "hand out tasks again", "Ends 'thresh pause' and 'thresh drain'.",
     SETTINGS_CONTROL, verb_steer},
    {"drain", "[OPTION]...", "take no more tasks in and let what runs finish",
     "The broker refuses new tasks and hands none out, until 'thresh resume' or its next start.",
     SETTINGS_CONTROL, verb_steer},
    {"stop", "[OPTION]...", "drain the broker and end it",
     "Everything that is not done stays in the store for the next start.", SETTINGS_CONTROL,
     verb_steer},
    {"keygen", "[--role ROLE] [--name NAME] DIRECTORY|FILE", "make a key pair",
     "Makes NAME.secret and NAME.public in the directory (made if it ends with a slash), or\n"
     "FILE.secret and FILE.public, and says what to do with them. Secrets are not shown.\n"
     "\n"
     "Examples:\n"
     "  thresh keygen keys/\n"
     "  thresh keygen --role worker --name fetch-1 keys/",
     0, verb_keygen},
    {"broker", "[OPTION]...", "start a broker (the program thresh-broker)", "", 0, verb_daemon},
    {"worker", "[OPTION]...", "start a worker (the program thresh-worker)", "", 0, verb_daemon},
    {"version", "", "say which version this is", "", 0, verb_version},
    {"help", "[VERB]", "say how to use a verb", "", 0, verb_help},
};
const size_t verb_count = sizeof verbs / sizeof verbs[0];

const struct verb *
verb_find(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}
