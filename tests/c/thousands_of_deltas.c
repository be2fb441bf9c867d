/* Twenty thousand deltas in one answer: every character is there, in order, three times over. */
#include "story.h"

#define DELTAS 20000

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_request *request;
    const char *expected;
    story_tally *tally;
    size_t length = 0;

    story_begin();
    client = story_client();
    expected = story_repeat("delta ", DELTAS);
    request = story_request(story_format("say=delta%%20;repeat=%d;deltas=%d", DELTAS, DELTAS), "Hello");

    tally = story_tally_new();
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
    CHECK_TEXT(tally->text, expected);
    CHECK_TEXT(tally->part, expected);
    apertis_stream_free(stream);
    story_tally_free(tally);

    tally = story_tally_new();
    CHECK_OK(apertis_client_chat_stream(client, request, story_on_event, tally, &response, &error), error);
    CHECK_TEXT(tally->text, expected);
    CHECK_TEXT(apertis_response_text(response, &length), expected);
    CHECK_INT(length, 6 * DELTAS);
    /* What was put together is what one piece would have been. */
    CHECK_TEXT(story_json(apertis_response_raw(response, NULL), "choices/0/message/content"), expected);
    apertis_response_free(response);
    story_tally_free(tally);

    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), expected);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
