/* The line goes dead in the middle of a sentence: that is an error, and the sentence so far is handed over. */
#include "story.h"

#define WORDS "say=word%20;repeat=200;deltas=200"

static void check_part(int32_t status, apertis_response *response, apertis_error *error) {
    CHECK_STATUS(apertis_error_status(error), status);
    CHECK(response != NULL);
    CHECK(strncmp(apertis_response_text(response, NULL), "word word ", 10) == 0);
    CHECK(strlen(apertis_response_text(response, NULL)) < 1000);
    CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_INTERRUPTED);
    CHECK_TEXT(apertis_response_id(response), "chatcmpl-9");
    CHECK_INT(apertis_response_attempts(response), 1);
    apertis_response_free(response);
    apertis_error_free(error);
}

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    story_tally *tally;
    int32_t status;

    story_begin();
    client = story_client();

    /* FIN in the middle: in the waiting call, in the streaming call, in events. */
    stream = story_start(client, WORDS ";id=chatcmpl-9;close=9000");
    CHECK_STATUS(status = apertis_stream_wait(stream, -1, &response, &error), APERTIS_ERROR_TRUNCATED);
    check_part(status, response, error);
    apertis_stream_free(stream);

    tally = story_tally_new();
    request = story_request(WORDS ";id=chatcmpl-9;close=9000", "Hello");
    CHECK_STATUS(status = apertis_client_chat_stream(client, request, story_on_event, tally, &response, &error), APERTIS_ERROR_TRUNCATED);
    CHECK_TEXT(apertis_response_text(response, NULL), tally->text);
    check_part(status, response, error);
    CHECK_STATUS(tally->status, APERTIS_ERROR_TRUNCATED);
    CHECK_TEXT(tally->part, tally->text);
    apertis_request_free(request);
    story_tally_free(tally);

    /* RST in the middle. */
    stream = story_start(client, WORDS ";pace_ms=1;id=chatcmpl-9;reset=9000");
    status = apertis_stream_wait(stream, -1, &response, &error);
    CHECK(status == APERTIS_ERROR_TRUNCATED || status == APERTIS_ERROR_DISCONNECTED);
    check_part(status, response, error);
    apertis_stream_free(stream);

    /* The body ends well, the answer does not: neither finish reason nor [DONE]. */
    stream = story_start(client, story_format("content_type=text/event-stream;body=%s", story_encode(
        "data: {\"id\":\"chatcmpl-9\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word word and\"}}]}\n\n")));
    CHECK_STATUS(status = apertis_stream_wait(stream, -1, &response, &error), APERTIS_ERROR_TRUNCATED);
    check_part(status, response, error);
    apertis_stream_free(stream);

    /* A finish reason without [DONE] is an end. */
    tally = story_tally_new();
    stream = story_start(client, story_format("content_type=text/event-stream;body=%s", story_encode(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"all of it\"},\"finish_reason\":\"stop\"}]}\n\n")));
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
    CHECK_TEXT(tally->part, "all of it");
    apertis_stream_free(stream);
    story_tally_free(tally);

    /* Nothing came: an error, and no part. */
    stream = story_start(client, "content_type=text/event-stream;body=");
    CHECK(apertis_stream_wait(stream, -1, &response, &error) < 0);
    CHECK(response == NULL);
    apertis_error_free(error);
    apertis_stream_free(stream);
    apertis_client_free(client);
    return story_end();
}
