/* Two files of one program include the header, twice and in any order: nothing is defined twice, nothing is missing. */
#include "story.h"
#include <apertis.h>

int answer_in_the_other_unit(const char *base, const char *key);
uint32_t version_in_the_other_unit(void);

int main(void) {
    apertis_client *client;
    story_begin();
    CHECK_INT(version_in_the_other_unit(), apertis_version_number());
    CHECK_INT(answer_in_the_other_unit(story_base(), STORY_KEY), APERTIS_OK);
    client = story_client();
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(5000), APERTIS_OK);
    return story_end();
}
