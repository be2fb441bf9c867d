/* Includes nothing but the library's header: it must stand on its own. */
#include <apertis.h>
#include <apertis.h>

int answer_in_the_other_unit(const char *base, const char *key);
uint32_t version_in_the_other_unit(void);

uint32_t version_in_the_other_unit(void) { return apertis_version_number(); }

int answer_in_the_other_unit(const char *base, const char *key) {
    apertis_config *config = apertis_config_new();
    apertis_client *client = NULL;
    apertis_response *response = NULL;
    apertis_status status = apertis_config_set_api_base(config, base);
    if (status == APERTIS_OK) status = apertis_config_set_api_key(config, key);
    if (status == APERTIS_OK) status = apertis_client_new(config, &client, NULL);
    if (status == APERTIS_OK) status = apertis_client_complete(client, "Hello", APERTIS_NTS, &response, NULL);
    apertis_response_free(response);
    apertis_client_free(client);
    apertis_config_free(config);
    return status;
}
