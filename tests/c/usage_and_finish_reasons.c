/* How many tokens, and why it stopped: the same streamed and not, and -1 where nobody said. */
#include "story.h"

static const struct { const char *word; int32_t finish; } reasons[] = {
    { "stop", APERTIS_FINISH_STOP }, { "end_turn", APERTIS_FINISH_STOP }, { "length", APERTIS_FINISH_LENGTH }, { "max_tokens", APERTIS_FINISH_LENGTH },
    { "content_filter", APERTIS_FINISH_CONTENT_FILTER }, { "tool_calls", APERTIS_FINISH_TOOL_CALLS }, { "made_up_yesterday", APERTIS_FINISH_UNKNOWN },
};

static apertis_response *ask(apertis_client *client, const char *script, int streamed) {
    apertis_stream *stream;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    if (!streamed) return story_chat(client, script);
    stream = story_start(client, script);
    CHECK_OK(apertis_stream_wait(stream, -1, &response, &error), error);
    apertis_stream_free(stream);
    return response;
}

int main(void) {
    apertis_client *client;
    apertis_response *response;
    int streamed;
    size_t index;

    story_begin();
    client = story_client();
    for (streamed = 0; streamed < 2; streamed++) {
        response = ask(client, "say=Hi;usage=100,50,40,20", streamed);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_INPUT), 100);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_OUTPUT), 50);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_TOTAL), 150);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_CACHED_INPUT), 40);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_REASONING), 20);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_CACHE_WRITE), -1);
        CHECK_INT(apertis_response_usage(response, 0), -1);
        CHECK_INT(apertis_response_usage(response, 77), -1);
        CHECK_INT(apertis_response_timing_us(response, 77), -1);
        apertis_response_free(response);

        response = ask(client, "say=Hi;usage=none", streamed);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_INPUT), -1);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_OUTPUT), -1);
        CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_TOTAL), -1);
        apertis_response_free(response);

        for (index = 0; index < sizeof reasons / sizeof *reasons; index++) {
            response = ask(client, story_format("say=Hi;finish=%s", reasons[index].word), streamed);
            CHECK_TEXT(apertis_response_finish_reason(response), reasons[index].word);
            CHECK_INT(apertis_response_finish(response), reasons[index].finish);
            CHECK_TEXT(apertis_response_text(response, NULL), "Hi");
            apertis_response_free(response);
        }
        /* Tool calls with "stop": sloppy, and still tool calls. */
        response = ask(client, "tool=clock:%7B%7D;finish=stop", streamed);
        CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_TOOL_CALLS);
        CHECK_TEXT(apertis_response_finish_reason(response), "stop");
        CHECK_TEXT(apertis_response_tool_call_arguments(response, 0, NULL), "{}");
        apertis_response_free(response);
    }
    apertis_client_free(client);
    return story_end();
}
