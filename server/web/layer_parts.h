/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a layer's page that show one report. */
#ifndef WEB_LAYER_PARTS_H
#define WEB_LAYER_PARTS_H

#include "trit/types.h"
#include "web/text.h"

/* What is wrong and since when; nothing for a healthy layer. */
void html_reasons(struct text *text, const struct trit_report *report);
void html_facts(struct text *text, const struct trit_report *report);
void html_findings(struct text *text, const struct trit_report *report);
void html_transitions(struct text *text, const struct trit_report *report);

#endif
