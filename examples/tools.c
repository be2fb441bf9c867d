/* Tools: the model calls, we answer with apertis_stream_reply, and the stream goes on by itself. */
#include <apertis.h>
#include <stdio.h>
#include <string.h>

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";

/* Answers one call. The arguments are JSON text of the schema above: parse them with the JSON library of your choice. */
static apertis_status answer_call(apertis_stream *stream, const apertis_event *event) {
    const char *id = apertis_event_tool_call_id(event);
    const char *name = apertis_event_tool_name(event);
    const char *arguments = apertis_event_json(event, NULL);

    fprintf(stderr, "(the model calls %s with %s)\n", name, arguments);
    if (strcmp(name, "weather") == 0) return apertis_stream_reply(stream, id, "18 degrees, light rain", APERTIS_NTS, 0);
    return apertis_stream_reply(stream, id, "there is no such tool", APERTIS_NTS, 1); /* 1: tells the model that it failed */
}

int main(int argc, char **argv) {
    const char *prompt = argc > 1 ? argv[1] : "Do I need an umbrella in Bern?";
    apertis_client *client = NULL;
    apertis_request *request = apertis_request_new();
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);
    int failed = 0;

    if (status == APERTIS_OK) status = apertis_request_add_message(request, APERTIS_ROLE_USER, prompt, APERTIS_NTS);
    if (status == APERTIS_OK) status = apertis_request_add_tool(request, "weather", "The weather in a city, now", schema);
    if (status == APERTIS_OK) status = apertis_request_set_max_tool_rounds(request, 4); /* asks and answers at most four times */
    if (status == APERTIS_OK) status = apertis_client_start(client, request, &stream, &error);

    while (status == APERTIS_OK && apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        size_t length = 0;
        const char *text;
        switch (apertis_event_kind_of(event)) {
        case APERTIS_EVENT_TEXT:
            text = apertis_event_text(event, &length);
            fwrite(text, 1, length, stdout);
            fflush(stdout);
            break;
        case APERTIS_EVENT_TOOL_CALL: /* may be answered later, from any thread; the next round waits for it */
            status = answer_call(stream, event);
            break;
        case APERTIS_EVENT_END:
            putchar('\n');
            if (apertis_event_error(event)) {
                const apertis_error *why = apertis_event_error(event);
                fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(apertis_error_status(why)), apertis_error_message(why));
                failed = 1;
            }
            break;
        default:
            break;
        }
    }
    if (status != APERTIS_OK) fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");

    apertis_error_free(error);
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_client_free(client);
    return status == APERTIS_OK && !failed ? 0 : 1;
}
