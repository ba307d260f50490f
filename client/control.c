#include "client/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/channel.h"
#include "client/session.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/message.h"

#define RESEND_MS 2000 /* a question that was lost with a connection is asked again */
#define SEND_RETRY_MS 20
#define JSON_INDENT 2

struct exchange {
    struct session session;
    struct channel *channel;
    const char *verb;
    struct slice arguments;
    uint64_t sequence;
    int64_t ask_at_ms; /* when the question is due (again) */
    bool is_answered;
    struct buffer *reply;
    char *message;
};

static enum error
send_frame(struct exchange *exchange, struct buffer *frame)
{
    struct session_sender sender = channel_sender(exchange->channel);
    enum error error = buffer_error(frame);
    if (error == OK) {
        struct slice slice = buffer_slice(frame);
        error = sender.send(sender.context, &slice, 1);
    }
    buffer_release(frame);
    return error;
}

static enum error
send_due(struct exchange *exchange, int64_t now_ms)
{
    struct buffer frame;
    enum session_action action = session_due(&exchange->session, now_ms);
    if (action != SESSION_NOTHING) {
        buffer_init(&frame, SESSION_HEADER_BYTES_MAX);
        if (action == SESSION_SEND_HELLO) {
            session_write_hello(&exchange->session, 0, &frame);
        } else {
            write_header(&frame, MESSAGE_HEARTBEAT, 0, 0);
        }
        enum error error = send_frame(exchange, &frame);
        if (error != OK) {
            return error;
        }
        session_sent(&exchange->session, action, now_ms);
    }
    if (exchange->session.state != SESSION_WELCOMED || now_ms < exchange->ask_at_ms) {
        return OK;
    }
    buffer_init(&frame, exchange->arguments.size + SESSION_HEADER_BYTES_MAX);
    write_header(&frame, MESSAGE_REQUEST, exchange->sequence, 2);
    write_string(&frame, "verb");
    write_string(&frame, exchange->verb);
    write_string(&frame, "arguments");
    if (exchange->arguments.size > 0) {
        write_raw(&frame, exchange->arguments);
    } else {
        write_map(&frame, 0);
    }
    enum error error = send_frame(exchange, &frame);
    if (error == OK) {
        exchange->ask_at_ms = now_ms + RESEND_MS;
    }
    return error;
}

static enum error
reply_came(struct exchange *exchange, struct session_header *header)
{
    static const char *const names[] = {"ok", "error", NULL};
    struct slice fields[2];
    enum error error = OK;
    struct reader pairs = header->pairs;
    write_map(exchange->reply, header->pair_count);
    buffer_append(exchange->reply, pairs.position, (size_t)(pairs.end - pairs.position));
    read_pairs(&header->pairs, header->pair_count, names, fields);
    bool is_ok = field_bool(fields[0], false, &error);
    struct slice why = field_string(fields[1], &error);
    if (error != OK || reader_finish(&header->pairs) != OK) {
        return ERROR_PROTOCOL;
    }
    exchange->is_answered = true;
    if (!is_ok) {
        exchange->message = strndup(why.size > 0 ? (const char *)why.data : "", why.size);
        return ERROR_INVALID;
    }
    return buffer_error(exchange->reply);
}

static enum error
message_came(struct exchange *exchange, const struct socket_message *message, int64_t now_ms)
{
    enum session_event event;
    struct session_header header;
    enum error error =
        session_receive(&exchange->session, message->frames[0], now_ms, &event, &header);
    if (error != OK) {
        return OK; /* not of this protocol: dropped */
    }
    if (event == SESSION_EVENT_FAILED) {
        exchange->message = strdup(exchange->session.reason);
        return ERROR_REFUSED;
    }
    if (event == SESSION_EVENT_WELCOMED) {
        exchange->ask_at_ms = now_ms;
    } else if (event == SESSION_EVENT_BUSY) {
        exchange->ask_at_ms = now_ms + header.retry_ms;
    } else if (event == SESSION_EVENT_OTHER && header.type == MESSAGE_REPLY &&
               header.sequence == exchange->sequence) {
        return reply_came(exchange, &header);
    }
    return OK;
}

static enum error
turn(struct exchange *exchange, int64_t until_ms)
{
    struct socket_message message = {0};
    int64_t now_ms = clock_monotonic_ms();
    enum error error = channel_receive(exchange->channel, &message);
    if (error == OK) {
        error = message_came(exchange, &message, now_ms);
        socket_message_release(&message);
        return error;
    }
    socket_message_release(&message);
    if (error != ERROR_AGAIN) {
        return error == ERROR_PROTOCOL ? OK : error;
    }
    if (now_ms >= until_ms) {
        return ERROR_UNREACHABLE;
    }
    error = send_due(exchange, now_ms);
    if (error != OK && error != ERROR_AGAIN) {
        return error;
    }
    int64_t deadline_ms = session_deadline(&exchange->session);
    if (error == ERROR_AGAIN) {
        deadline_ms = now_ms + SEND_RETRY_MS;
    } else if (exchange->session.state == SESSION_WELCOMED && exchange->ask_at_ms < deadline_ms) {
        deadline_ms = exchange->ask_at_ms;
    }
    return channel_wait(exchange->channel, deadline_ms < until_ms ? deadline_ms : until_ms);
}

enum error
control_request(const struct control_place *place, int64_t timeout_ms, const char *verb,
                struct slice arguments, struct buffer *ret_reply, char **ret_message)
{
    uint8_t client[CLIENT_ID_BYTES];
    struct exchange exchange = {
        .verb = verb, .arguments = arguments, .sequence = 1, .reply = ret_reply};
    enum error error = channel_random(client, sizeof client);
    if (error == OK) {
        error = channel_open(place->endpoint, place->key_file, place->broker_key_file,
                             &exchange.channel, ret_message);
    }
    if (error != OK) {
        return error;
    }
    session_init(&exchange.session, ROLE_CONTROL, "thresh", client);
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    while (error == OK && !exchange.is_answered) {
        error = turn(&exchange, until_ms);
    }
    channel_close(exchange.channel);
    *ret_message = exchange.message;
    return error;
}

int
control_ask(const struct cli *cli, const char *verb, struct slice arguments,
            struct buffer *ret_reply)
{
    char *message = NULL;
    const char *endpoint = cli->settings.broker_control;
    const struct control_place place = {.endpoint = endpoint,
                                        .key_file = cli->settings.key,
                                        .broker_key_file = cli->settings.broker_key};
    enum error error =
        control_request(&place, cli->settings.timeout_ms, verb, arguments, ret_reply, &message);
    int code = CLI_GO_ON;
    if (error == ERROR_UNREACHABLE) {
        code = cli_unreachable(endpoint, cli->settings.timeout_ms);
    } else if (error == ERROR_CONFIG && message != NULL) {
        code = cli_fail(error, "%s", message);
    } else if (error == ERROR_CONFIG) {
        code = cli_fail(error, "'%s' is not an endpoint; write tcp://HOST:PORT or ipc://PATH",
                        endpoint);
    } else if (error != OK) {
        code = cli_fail(error, "broker %s refused '%s': %s", endpoint, verb,
                        message != NULL ? message : error_text(error));
    }
    free(message);
    return code;
}

int
control_print_json(struct slice reply)
{
    struct buffer out;
    buffer_init(&out, CLI_REPLY_BYTES_MAX);
    enum error error = json_from_message_pretty(&out, reply, JSON_INDENT);
    buffer_append_byte(&out, '\n');
    int code = EXIT_CODE_DONE;
    if (error != OK) {
        code = cli_fail(error, "the broker's answer cannot be read");
    } else if (!cli_print(&out)) {
        code = EXIT_CODE_UNEXPECTED;
    }
    buffer_release(&out);
    return code;
}

int
control_show(const struct verb *verb, int argc, char **argv, const char *question,
             control_print_fn *print)
{
    struct cli cli;
    struct buffer reply;
    struct buffer out;
    int code = cli_begin(&cli, verb, argc, argv, NULL);
    buffer_init(&reply, CLI_REPLY_BYTES_MAX);
    buffer_init(&out, CLI_REPLY_BYTES_MAX);
    if (code == CLI_GO_ON && cli.arguments.positional_count > 0) {
        cli_say("'thresh %s' takes no argument such as '%s'", verb->name,
                cli.arguments.positional[0]);
        code = EXIT_CODE_USAGE;
    }
    if (code == CLI_GO_ON) {
        code = control_ask(&cli, question, slice_of(NULL, 0), &reply);
    }
    if (code == CLI_GO_ON && cli.settings.json) {
        code = control_print_json(buffer_slice(&reply));
    } else if (code == CLI_GO_ON) {
        enum error error = print(buffer_slice(&reply), &out);
        code = EXIT_CODE_DONE;
        if (error != OK) {
            code = cli_fail(error, "the broker's answer cannot be read");
        } else if (!cli_print(&out)) {
            code = EXIT_CODE_UNEXPECTED;
        }
    }
    buffer_release(&reply);
    buffer_release(&out);
    cli_end(&cli);
    return code;
}
