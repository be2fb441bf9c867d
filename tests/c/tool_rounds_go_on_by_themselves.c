/* The model calls, the program replies, and the same stream goes on to the answer; one END for all of it. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    int calls = 0, ends = 0;

    story_begin();
    client = story_client();
    request = story_request("tool=clock:%7B%7D;tool=weather:%7B%7D", "What is it like?");
    CHECK_STATUS(apertis_request_add_tool(request, "clock", "Tells the time", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "weather", "Tells the weather", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_max_tool_rounds(request, 3), APERTIS_OK);
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        if (apertis_event_kind_of(event) == APERTIS_EVENT_TOOL_CALL) {
            CHECK_STATUS(apertis_stream_reply(stream, apertis_event_tool_call_id(event), calls == 0 ? "noon" : "rain", APERTIS_NTS, 0), APERTIS_OK);
            calls++;
        } else if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
            CHECK(apertis_event_error(event) == NULL);
            CHECK_TEXT(apertis_response_text(apertis_event_response(event), NULL), "Results: noon, rain");
            ends++;
        }
    }
    CHECK_INT(calls, 2);
    CHECK_INT(ends, 1);
    CHECK_INT(story_sent_count(), 2);
    CHECK_TEXT(story_sent(1, "messages/2/role"), "tool");
    CHECK_TEXT(story_sent(1, "messages/2/tool_call_id"), "call_1");
    CHECK_TEXT(story_sent(1, "messages/3/content"), "rain");
    apertis_stream_free(stream);

    /* Nobody replies for ever: with one round allowed, the second ask is an error of its own. */
    apertis_request_free(request);
    request = story_request("tool=clock:%7B%7D;rounds=5", "What is it like?");
    CHECK_STATUS(apertis_request_add_tool(request, "clock", "Tells the time", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_max_tool_rounds(request, 1), APERTIS_OK);
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        if (apertis_event_kind_of(event) == APERTIS_EVENT_TOOL_CALL) apertis_stream_reply(stream, apertis_event_tool_call_id(event), "noon", APERTIS_NTS, 0);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_END) CHECK_STATUS(apertis_error_status(apertis_event_error(event)), APERTIS_ERROR_TOOL_ROUNDS);
    }
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
