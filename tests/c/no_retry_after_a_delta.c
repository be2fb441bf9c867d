/* Once a word was delivered, nothing is asked again: the reader would see it twice. */
#include "story.h"

static void breaks(apertis_client *client, const char *script) {
    story_tally *tally = story_tally_new();
    apertis_stream *stream;
    story_next_key();
    stream = story_start(client, script);
    CHECK(story_pull(stream, tally) < 0);
    CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], 0);
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 1);
    CHECK(strncmp(tally->text, "word word ", 10) == 0);
    CHECK_TEXT(tally->part, tally->text);                       /* all that came, and nothing twice */
    CHECK_INT(tally->finish, APERTIS_FINISH_INTERRUPTED);
    CHECK_INT(story_sent_count(), 1);
    apertis_stream_free(stream);
    story_tally_free(tally);
}

int main(void) {
    apertis_client *client;
    apertis_response *response;
    apertis_stream *stream;
    story_tally *tally;

    story_begin();
    client = story_retrying_client(3);
    breaks(client, "say=word%20;repeat=100;deltas=100;pace_ms=5;error_after=5;error=overloaded:server_error:Busy");
    breaks(client, "say=word%20;repeat=100;deltas=100;pace_ms=5;reset=4000");
    breaks(client, "say=word%20;repeat=100;deltas=100;pace_ms=5;close=4000");

    /* Before the first word an error in the stream is like one instead of it. */
    story_next_key();
    tally = story_tally_new();
    stream = story_start(client, "say=word;error_after=0;error=overloaded:server_error:Busy;times=1");
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
    CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], 1);
    CHECK_TEXT(tally->text, "word");
    CHECK_INT(story_sent_count(), 2);
    apertis_stream_free(stream);
    story_tally_free(tally);

    story_next_key();
    response = story_chat(client, "say=word;fail=502;retry_after_ms=1");
    CHECK_INT(apertis_response_attempts(response), 2);
    apertis_response_free(response);
    apertis_client_free(client);
    return story_end();
}
