/* The model asks for two tools; the calls come in pieces and whole, and the results go back in the next turn. */
#include "story.h"

#define TOOLS "tool=weather:" WEATHER ";tool=clock:" CLOCK ";tool_deltas=4"
#define WEATHER "%7B%22city%22%3A%22Bern%22%7D"
#define CLOCK "%7B%22zone%22%3A%22CET%22%7D"

static apertis_request *request_with_tools(const char *script) {
    apertis_request *request = story_request(script, "What is it like in Bern?");
    CHECK_STATUS(apertis_request_add_tool(request, "weather", "Tells the weather", "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}"), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "clock", NULL, NULL), APERTIS_OK);
    return request;
}

static void check_calls(const apertis_response *response) {
    size_t length = 0;
    CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_TOOL_CALLS);
    CHECK_INT(apertis_response_tool_call_count(response), 2);
    CHECK_TEXT(apertis_response_tool_call_name(response, 0), "weather");
    CHECK_TEXT(apertis_response_tool_call_name(response, 1), "clock");
    CHECK_TEXT(apertis_response_tool_call_arguments(response, 0, &length), "{\"city\":\"Bern\"}");
    CHECK_INT(length, 15);
    CHECK_TEXT(apertis_response_tool_call_arguments(response, 1, NULL), "{\"zone\":\"CET\"}");
    CHECK(apertis_response_tool_call_id(response, 0) != NULL);
    CHECK(strcmp(apertis_response_tool_call_id(response, 0), apertis_response_tool_call_id(response, 1)) != 0);
    CHECK(apertis_response_tool_call_id(response, 2) == NULL);
    CHECK(apertis_response_tool_call_arguments(response, 2, &length) == NULL);
}

static void stream_in_style(apertis_client *client, const char *style) {
    apertis_request *request = request_with_tools(story_format("%s;tool_style=%s", TOOLS, style));
    apertis_stream *stream = NULL;
    const apertis_event *event = NULL;
    story_tally *tally = story_tally_new();
    char *weather = (char *)calloc(1, 1), *clock_arguments = (char *)calloc(1, 1);
    int calls = 0;
    CHECK_STATUS(apertis_client_start(client, request, &stream, NULL), APERTIS_OK);
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        int32_t kind = apertis_event_kind_of(event);
        size_t length = 0;
        story_tally_add(tally, event);
        if (kind == APERTIS_EVENT_TOOL_ARGUMENTS) {
            const char *piece = apertis_event_text(event, &length);
            CHECK(apertis_event_tool_call_id(event) != NULL && calls == 0);
            story_append(strcmp(apertis_event_tool_name(event), "weather") == 0 ? &weather : &clock_arguments, piece, length);
        } else if (kind == APERTIS_EVENT_TOOL_CALL) {
            CHECK_TEXT(apertis_event_tool_name(event), calls == 0 ? "weather" : "clock");
            CHECK_TEXT(apertis_event_text(event, &length), calls == 0 ? weather : clock_arguments);
            CHECK_TEXT(apertis_event_tool_call_id(event), calls == 0 ? "call_1" : "call_2");
            calls++;
        } else if (kind == APERTIS_EVENT_END) {
            CHECK_STATUS(tally->status, APERTIS_OK);
            check_calls(apertis_event_response(event));
        } else {
            CHECK(apertis_event_tool_name(event) == NULL);
        }
    }
    CHECK_INT(calls, 2);
    CHECK_TEXT(weather, "{\"city\":\"Bern\"}");
    CHECK_TEXT(clock_arguments, "{\"zone\":\"CET\"}");
    free(weather);
    free(clock_arguments);
    apertis_stream_free(stream);
    apertis_request_free(request);
    story_tally_free(tally);
}

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;

    story_begin();
    client = story_client();
    stream_in_style(client, "normal");
    stream_in_style(client, "noindex");
    stream_in_style(client, "whole");
    stream_in_style(client, "interleaved");

    story_next_key();
    request = request_with_tools(TOOLS);
    CHECK_STATUS(apertis_request_set_tool_choice(request, "required"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_parallel_tool_calls(request, 1), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    check_calls(response);
    CHECK_TEXT(story_sent(0, "tools/0/type"), "function");
    CHECK_TEXT(story_sent(0, "tools/0/function/name"), "weather");
    CHECK_TEXT(story_sent(0, "tools/0/function/description"), "Tells the weather");
    CHECK_TEXT(story_sent(0, "tools/0/function/parameters/properties/city/type"), "string");
    CHECK_TEXT(story_sent(0, "tools/1/function/name"), "clock");
    CHECK(story_sent(0, "tools/1/function/description") == NULL);
    CHECK_TEXT(story_sent(0, "tool_choice"), "required");
    CHECK_TEXT(story_sent(0, "parallel_tool_calls"), "true");

    CHECK_STATUS(apertis_request_add_response(request, response), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool_result(request, apertis_response_tool_call_id(response, 0), "18 degrees", APERTIS_NTS, 0), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool_result(request, apertis_response_tool_call_id(response, 1), "noon, sharp", 4, 0), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_tool_choice(request, "weather"), APERTIS_OK);
    apertis_response_free(response);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), "Results: 18 degrees, noon");
    CHECK_INT(apertis_response_tool_call_count(response), 0);
    CHECK_TEXT(story_sent(1, "messages/1/role"), "assistant");
    CHECK_TEXT(story_sent(1, "messages/1/tool_calls/0/id"), "call_1");
    CHECK_TEXT(story_sent(1, "messages/1/tool_calls/1/function/arguments"), "{\"zone\":\"CET\"}");
    CHECK_TEXT(story_sent(1, "messages/2/role"), "tool");
    CHECK_TEXT(story_sent(1, "messages/2/tool_call_id"), "call_1");
    CHECK_TEXT(story_sent(1, "messages/2/content"), "18 degrees");
    CHECK_TEXT(story_sent(1, "messages/3/content"), "noon");
    CHECK_TEXT(story_sent(1, "tool_choice/function/name"), "weather");
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
