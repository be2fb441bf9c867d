/* The model declines: that arrives as a refusal, and nobody mistakes it for the answer. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_response *response;
    story_tally *tally;
    size_t length = 0;

    story_begin();
    client = story_client();
    tally = story_tally_new();
    stream = story_start(client, "refusal=I%20would%20rather%20not;deltas=4");
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);        /* a refusal is an answer, not an error */
    CHECK_TEXT(tally->refusal, "I would rather not");
    CHECK_TEXT(tally->text, "");
    CHECK_TEXT(tally->part, "");
    CHECK_INT(tally->kinds[APERTIS_EVENT_TEXT], 0);
    CHECK_INT(tally->finish, APERTIS_FINISH_REFUSAL);
    apertis_stream_free(stream);
    story_tally_free(tally);

    response = story_chat(client, "refusal=I%20would%20rather%20not");
    CHECK_TEXT(apertis_response_refusal(response, &length), "I would rather not");
    CHECK_INT(length, 18);
    CHECK_TEXT(apertis_response_text(response, &length), "");
    CHECK_INT(length, 0);
    CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_REFUSAL);
    CHECK_TEXT(apertis_response_finish_reason(response), "stop");       /* the provider's word stays */
    apertis_response_free(response);

    response = story_chat(client, "say=Gladly");
    CHECK(apertis_response_refusal(response, &length) == NULL);
    CHECK_INT(length, 0);
    apertis_response_free(response);
    apertis_client_free(client);
    return story_end();
}
