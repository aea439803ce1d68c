"""Every number of the rules, once: limits, deadlines, thresholds, how long things are kept.

Code imports the constant, the public rules page prints `NUMBERS`, tests use the same names. Numbers of accounts
(first allowance, growth steps) stand in accounts.policy. `OURS` marks our own choice, stricter than law; citations
marked "unconfirmed" were not read in the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

Value = TypeVar("Value", int, float, str, None)


@dataclass(frozen=True)
class Number:
    """One number as the rules page shows it."""

    id: str
    name: str
    value: int | float | str | None
    unit: str
    rule: str
    source: str

    @property
    def shown(self) -> str:
        """Return value and unit as people read them."""
        if self.value is None:
            return "no end"
        if self.unit == "share":
            return f"{100 * float(self.value):.2f}%"
        text = f"{self.value:,}" if isinstance(self.value, int | float) else str(self.value)
        return f"{text} {self.unit}".strip()


_numbers: list[Number] = []


def _number(  # noqa: PLR0913, PLR0917
    id: str, value: Value, unit: str, rule: str, name: str, source: str = "OURS"
) -> Value:
    _numbers.append(Number(id, name, value, unit, rule, source))
    return value


N = _number

# --- Unsubscribing (law: US and CA 10 business days, AU 5 business days; Gmail and Yahoo 48 hours)
UNSUB_COMMIT_S: Final = N("UNSUB_COMMIT_S", 60, "seconds", "UNSUB-EFFECT", "Until an unsubscribe stops queued mail")
UNSUB_ALARM_MIN: Final = N("UNSUB_ALARM_MIN", 15, "minutes", "UNSUB-EFFECT", "Until a late unsubscribe raises an alarm")
UNSUB_INCIDENT_H: Final = N("UNSUB_INCIDENT_H", 24, "hours", "UNSUB-EFFECT", "Until a late unsubscribe is an incident")
UNSUB_LINK_MIN_DAYS: Final = N(
    "UNSUB_LINK_MIN_DAYS",
    60,
    "days",
    "UNSUB-LINK-LIFE",
    "Unsubscribe links work at least",
    "CASL 11(2); US and AU 30 days",
)
UNSUB_TOKEN_EXPIRY: Final = N("UNSUB_TOKEN_EXPIRY", None, "", "UNSUB-LINK-LIFE", "Expiry of unsubscribe links")
UNSUB_KEY_KEEP_Y: Final = N("UNSUB_KEY_KEEP_Y", 5, "years", "UNSUB-LINK-LIFE", "Link keys are kept")
UNSUB_UNDO_MIN: Final = N(
    "UNSUB_UNDO_MIN", 10, "minutes", "UNSUB-EFFECT", "An unsubscribe can be taken back on its page for"
)

PAUSE_SHORT_D: Final = N("PAUSE_SHORT_D", 30, "days", "CONSENT-WITHDRAW", "A short break from a sender")
PAUSE_LONG_D: Final = N("PAUSE_LONG_D", 90, "days", "CONSENT-WITHDRAW", "A long break from a sender")
LOST_LINKS_NETWORK: Final = N(
    "LOST_LINKS_NETWORK", 10, "an hour", "UNSUB-LINK-LIFE", "Requests for new links from one network"
)
LOST_LINKS_ADDRESS: Final = N(
    "LOST_LINKS_ADDRESS", 3, "a day", "UNSUB-LINK-LIFE", "Mails with new links to one address"
)
OWN_DATA_ADDRESS: Final = N(
    "OWN_DATA_ADDRESS", 3, "a day", "DATA-SOURCE-INFO", "Copies of the own data, and links to erase it, to one address"
)

# --- Consent that ends (calendar months)
CASL_EBR_MONTHS: Final = N(
    "CASL_EBR_MONTHS",
    24,
    "months",
    "CONSENT-CASL-2Y",
    "Purchase or contract permits mail (Canada)",
    "CASL 10(10)(a)-(d)",
)
CASL_INQUIRY_MONTHS: Final = N(
    "CASL_INQUIRY_MONTHS", 6, "months", "CONSENT-CASL-6M", "Inquiry permits mail (Canada)", "CASL 10(10)(e)"
)
CASL_ENBR_MONTHS: Final = N(
    "CASL_ENBR_MONTHS", 24, "months", "CONSENT-CASL-ENBR", "Membership or gift permits mail (Canada)", "CASL 10(13)"
)
CASL_EARLY_H: Final = N(
    "CASL_EARLY_H", 14, "hours", "CONSENT-CASL-2Y", "Implied consent ends earlier than its anniversary by"
)
IDLE_SKIP_MONTHS: Final = N(
    "IDLE_SKIP_MONTHS", 24, "months", "CONSENT-STALE", "Without any mail a permission lapses after"
)
NEVER_MAILED_HOLD_MONTHS: Final = N(
    "NEVER_MAILED_HOLD_MONTHS", 12, "months", "CONSENT-STALE", "A never used permission is looked at after"
)
FR_LAST_CONTACT_MONTHS: Final = N(
    "FR_LAST_CONTACT_MONTHS", 36, "months", "CONSENT-STALE", "Without sign of life a permission ends (France)", "CNIL"
)
US_CUSTOMER_MONTHS: Final = N(
    "US_CUSTOMER_MONTHS", 24, "months", "CONSENT-BASIS", "A customer relation counts (United States)"
)

# --- Freshness of what we look up
UK_CHARITY_FROM: Final = N(
    "UK_CHARITY_FROM",
    "2026-02-05",
    "",
    "CONSENT-SOFT-UK-CHARITY",
    "A charity's supporters count when they gave their address since",
    "PECR reg 22(3A), DUAA 2025 s.114 [S]",
)
REGISTER_MAX_AGE_D: Final = N("REGISTER_MAX_AGE_D", 7, "days", "REG-EU-7-2", "Opt-out registers may be old by")
WIRELESS_MAX_AGE_D: Final = N("WIRELESS_MAX_AGE_D", 30, "days", "REG-US-WIRELESS", "Wireless domain list may be old by")
DOMAIN_AUTH_MAX_AGE_H: Final = N("DOMAIN_AUTH_MAX_AGE_H", 24, "hours", "SEND-RECHECK", "Domain checks may be old by")
TEMPFAIL_GRACE_H: Final = N(
    "TEMPFAIL_GRACE_H", 24, "hours", "SEND-RECHECK", "A silent name server keeps the last good answer"
)
REPLY_CONFIRMED_D: Final = N("REPLY_CONFIRMED_D", 180, "days", "ID-REPLY-TO", "A confirmed reply mailbox counts for")

# --- Answers, cases, appeals (BD: business days)
PROOF_DEADLINE_BD: Final = N("PROOF_DEADLINE_BD", 3, "business days", "CONSENT-PROOF", "Time to show proof of consent")
TENANT_ANSWER_BD: Final = N(
    "TENANT_ANSWER_BD", 5, "business days", "ABUSE-RESPONSE", "Time of a customer to answer a warning"
)
CASE_FIRST_LOOK_BD: Final = N("CASE_FIRST_LOOK_BD", 1, "business day", "ABUSE-RESPONSE", "First look at a report")
CASE_DECIDE_D: Final = N("CASE_DECIDE_D", 7, "days", "ABUSE-RESPONSE", "Decision on a report")
CASE_MAX_D: Final = N("CASE_MAX_D", 14, "days", "ABUSE-RESPONSE", "Decision on a report, at the latest")
URGENT_H: Final = N("URGENT_H", 4, "hours", "ABUSE-RESPONSE", "First look at fraud, threats and phishing")
APPEAL_OPEN_MONTHS: Final = N(
    "APPEAL_OPEN_MONTHS",
    6,
    "months",
    "ABUSE-APPEAL",
    "A decision can be appealed for",
    "Regulation 2022/2065 art 20(1)",
)
APPEAL_DECIDE_D: Final = N("APPEAL_DECIDE_D", 14, "days", "ABUSE-APPEAL", "Answer to an appeal")
APPEAL_SUSPENDED_BD: Final = N(
    "APPEAL_SUSPENDED_BD", 3, "business days", "ABUSE-APPEAL", "Answer to an appeal of a suspended customer"
)
TERMINATION_NOTICE_D: Final = N(
    "TERMINATION_NOTICE_D", 30, "days", "ABUSE-RESPONSE", "Notice before an account ends, serious cases apart"
)
DENYLIST_MONTHS: Final = N("DENYLIST_MONTHS", 24, "months", "ABUSE-RESPONSE", "A blocked customer may not return for")

# --- Complaints: L is a lower 95 % bound of the rate, C a count of distinct complainants
L_NOTICE: Final = N("L_NOTICE", 0.0008, "share", "ABUSE-RATES", "Complaint rate that brings advice")
L_WARN: Final = N("L_WARN", 0.0010, "share", "ABUSE-RATES", "Complaint rate that suggests a warning")
L_REPEAT: Final = N(
    "L_REPEAT", 0.0020, "share", "ABUSE-RATES", "Complaint rate in two windows that suggests suspension"
)
L_SUSPEND: Final = N("L_SUSPEND", 0.0030, "share", "ABUSE-RATES", "Complaint rate that suggests suspension")
L_PAUSE: Final = N("L_PAUSE", 0.0010, "share", "ABUSE-RATES", "Complaint rate (two-sided bound) that pauses sending")
C_WARN: Final = N("C_WARN", 3, "people", "ABUSE-RATES", "Complaints needed for a warning")
C_BREAKER: Final = N("C_BREAKER", 4, "people", "ABUSE-RATES", "Complaints needed for an automatic pause")
C_SUSPEND: Final = N("C_SUSPEND", 6, "people", "ABUSE-RATES", "Complaints needed for a suspension")
N_MIN: Final = N("N_MIN", 500, "messages", "ABUSE-RATES", "Messages before a rate is judged")
Z: Final = N("Z", 1.645, "", "ABUSE-RATES", "Wilson bound, one-sided 95 %: z")
Z_TWO_SIDED: Final = N("Z_TWO_SIDED", 1.96, "", "ABUSE-RATES", "Wilson bound of the automatic pause: z")

# --- Bounces
HB_NOTICE: Final = N("HB_NOTICE", 0.02, "share", "BOUNCE-RATES", "Dead addresses that bring advice")
HB_WARN: Final = N("HB_WARN", 0.03, "share", "BOUNCE-RATES", "Dead addresses that suggest a warning")
HB_PAUSE: Final = N("HB_PAUSE", 0.05, "share", "BOUNCE-RATES", "Dead addresses that pause a campaign")
HB_SUSPEND: Final = N("HB_SUSPEND", 0.10, "share", "BOUNCE-RATES", "Dead addresses that suggest suspension")
HB_N_MIN: Final = N("HB_N_MIN", 200, "messages", "BOUNCE-RATES", "Attempts before dead addresses are judged")
FULL_EVENTS: Final = N("FULL_EVENTS", 3, "times", "BOUNCE-SOFT", "Full mailbox before we stop for a while")
SOFT_EVENTS: Final = N("SOFT_EVENTS", 5, "times", "BOUNCE-SOFT", "Failures in a row before we stop for a while")
SOFT_SUPPRESS_D: Final = N("SOFT_SUPPRESS_D", 180, "days", "BOUNCE-SOFT", "We stop for")
BOUNCE_BELIEVED_D: Final = N("BOUNCE_BELIEVED_D", 30, "days", "BOUNCE-RATES", "A bounce is believed for")
RETRY_MAX_H: Final = N("RETRY_MAX_H", 48, "hours", "BOUNCE-RETRY", "We try again for")
UNSUB_NOTICE: Final = N("UNSUB_NOTICE", 0.01, "share", "ABUSE-RATES", "Unsubscribe rate that brings advice")
RENDER_PAUSE_SHARE: Final = N(
    "RENDER_PAUSE_SHARE", 0.01, "share", "SEND-BREAKER", "Unwritable messages that pause a campaign"
)
RENDER_PAUSE_COUNT: Final = N(
    "RENDER_PAUSE_COUNT", 50, "messages", "SEND-BREAKER", "Unwritable messages that pause a campaign"
)
ASIDE_PAUSE_COUNT: Final = N(
    "ASIDE_PAUSE_COUNT", 3, "messages", "SEND-BREAKER", "Messages that end our process and so pause a campaign"
)
RENDER_MAX_S: Final = N("RENDER_MAX_S", 1, "second", "SEND-BREAKER", "Writing one message may take, at most")

# --- Lists
LIST_FIRST_HOLD: Final = N("LIST_FIRST_HOLD", 5000, "rows", "SRC-SIZE-JUMP", "A first list is looked at above")
LIST_JUMP_FACTOR: Final = N(
    "LIST_JUMP_FACTOR", 10, "times", "SRC-SIZE-JUMP", "A list is looked at when bigger than the last by"
)
LIST_ROLE_SHARE: Final = N("LIST_ROLE_SHARE", 0.02, "share", "SRC-PATTERN", "Function mailboxes that hold a list")
LIST_DEAD_DOMAIN_SHARE: Final = N(
    "LIST_DEAD_DOMAIN_SHARE", 0.03, "share", "SRC-PATTERN", "Dead domains that hold a list"
)
LIST_OVERLAP_SHARE: Final = N(
    "LIST_OVERLAP_SHARE", 0.20, "share", "SRC-PATTERN", "Addresses that strangers also have, holding a list"
)
LIST_SUPPRESSED_SHARE: Final = N(
    "LIST_SUPPRESSED_SHARE", 0.10, "share", "SRC-PATTERN", "Do-not-mail addresses that hold a list"
)
LIST_INVALID_SHARE: Final = N("LIST_INVALID_SHARE", 0.10, "share", "SRC-PATTERN", "Wrong addresses that refuse a list")
LIST_SAME_DATE_SHARE: Final = N(
    "LIST_SAME_DATE_SHARE", 0.90, "share", "SRC-PATTERN", "Equal consent dates that hold a list"
)
LIST_SAME_DATE_MIN: Final = N("LIST_SAME_DATE_MIN", 1000, "rows", "SRC-PATTERN", "Rows before equal dates are judged")

LIST_BAD_DATE_SHARE: Final = N(
    "LIST_BAD_DATE_SHARE", 0.05, "share", "SRC-PATTERN", "Impossible sign-up dates that hold a list"
)
ATTESTATION_ADDS_MONTHS: Final = N(
    "ATTESTATION_ADDS_MONTHS", 12, "months", "SRC-PROHIBITED", "A statement covers single people added for"
)
UPLOAD_COLUMNS: Final = N("UPLOAD_COLUMNS", 200, "columns", "UPLOAD-LIMITS", "Columns of an uploaded file, at most")
UPLOAD_ROWS: Final = N("UPLOAD_ROWS", 5_000_000, "rows", "UPLOAD-LIMITS", "Rows of an uploaded file, at most")
UPLOAD_CELL_KB: Final = N("UPLOAD_CELL_KB", 64, "KB", "UPLOAD-LIMITS", "One cell of an uploaded file, at most")
UPLOAD_LINE_KB: Final = N("UPLOAD_LINE_KB", 1024, "KB", "UPLOAD-LIMITS", "One row of an uploaded file, at most")
XLSX_MEMBERS: Final = N("XLSX_MEMBERS", 500, "parts", "UPLOAD-LIMITS", "Parts inside an Excel file, at most")
XLSX_RATIO: Final = N("XLSX_RATIO", 100, "times", "UPLOAD-LIMITS", "An Excel file may unpack to")
XLSX_INFLATED_MB: Final = N("XLSX_INFLATED_MB", 200, "MB", "UPLOAD-LIMITS", "An Excel file unpacked, at most")
UPLOAD_PROBLEMS_KEPT: Final = N(
    "UPLOAD_PROBLEMS_KEPT", 50_000, "rows", "UPLOAD-LIMITS", "Rows with a problem that are listed one by one"
)
IMPORT_UNDO_D: Final = N(
    "IMPORT_UNDO_D", 14, "days", "UPLOAD-LIMITS", "An upload can be taken back, before any mail, for"
)
EVIDENCE_FILES: Final = N("EVIDENCE_FILES", 5, "files", "UPLOAD-LIMITS", "Evidence files beside an upload, at most")
EVIDENCE_MB: Final = N("EVIDENCE_MB", 5, "MB", "UPLOAD-LIMITS", "One evidence file, at most")
SAVED_PAGES: Final = N("SAVED_PAGES", 20, "an hour", "CONSENT-PROOF", "Sign-up pages saved for one customer")
OPTOUTS_ROWS: Final = N(
    "OPTOUTS_ROWS", 100_000, "rows", "UPLOAD-LIMITS", "One file of people who said no before, at most"
)
SOURCES_MAX: Final = N("SOURCES_MAX", 10, "sources", "UPLOAD-LIMITS", "Further sources of one file, at most")
LIST_CHECK_H: Final = N("LIST_CHECK_H", 4, "working hours", "SRC-SIZE-JUMP", "Our staff usually looks at a list within")
G = "SEGMENT-LIMITS"
TAGS_MAX: Final = N("TAGS_MAX", 1000, "tags", G, "Tags of one organization, at most")
TAGS_AT_ONCE: Final = N("TAGS_AT_ONCE", 50, "tags", G, "Tags given to a person at once, at most")
FIELDS_MAX: Final = N("FIELDS_MAX", 300, "columns", G, "Further columns of one organization, at most")
SEGMENTS_MAX: Final = N("SEGMENTS_MAX", 200, "segments", G, "Segments of one organization, at most")
SEGMENT_GROUPS: Final = N("SEGMENT_GROUPS", 5, "groups", G, "Groups of conditions in a segment, at most")
SEGMENT_CONDITIONS: Final = N("SEGMENT_CONDITIONS", 20, "conditions", G, "Conditions of a segment, at most")
SEGMENT_DAYS: Final = N("SEGMENT_DAYS", 3650, "days", G, "A condition looks back, at most")
SEGMENT_COUNT_S: Final = N("SEGMENT_COUNT_S", 120, "seconds", G, "Counting a segment may take, at most")
G = "COUNT-LIMITS"
COUNTED_AT_ONCE: Final = N("COUNTED_AT_ONCE", 5_000, "people", G, "A page counts by itself, at most")
COUNT_S: Final = N("COUNT_S", 300, "seconds", G, "Counting a long list may take, at most")

# --- Where a list comes from (compliance.provenance; points: decision 0030)
P = "SRC-PATTERN"
PROVENANCE_ASK: Final = N("PROVENANCE_ASK", 60, "points", P, "A list whose signs ask for a sample of proof")
PROVENANCE_HOLD: Final = N("PROVENANCE_HOLD", 100, "points", P, "A list whose signs hold it for our staff")
PROOF_ROWS: Final = N("PROOF_ROWS", 25, "rows", P, "Sample of proof that a doubtful list needs")
LIST_SHARED_SHARE: Final = N("LIST_SHARED_SHARE", 0.05, "share", P, "Shared mailboxes that count as a sign")
LIST_SPREAD_SHARE: Final = N(
    "LIST_SPREAD_SHARE", 0.80, "share", P, "Addresses alone at their domain that count as a sign"
)
LIST_ORDER_SHARE: Final = N("LIST_ORDER_SHARE", 0.98, "share", P, "Alphabetical order that counts as a sign")
LIST_LOCALS_SHARE: Final = N(
    "LIST_LOCALS_SHARE", 0.30, "share", P, "Different names before the @ that a list has at least"
)
LIST_INVALID_SIGN_SHARE: Final = N("LIST_INVALID_SIGN_SHARE", 0.04, "share", P, "Wrong addresses that count as a sign")
LIST_HOLDER_SHARE: Final = N("LIST_HOLDER_SHARE", 0.10, "share", P, "Part of a list at one other customer that counts")
LIST_HOLDERS: Final = N("LIST_HOLDERS", 3, "customers", P, "Other customers with such a part that hold a list")
LIST_TROUBLE_SHARE: Final = N("LIST_TROUBLE_SHARE", 0.03, "share", P, "Complaints and bounces elsewhere that count")
OVERLAP_MIN_ROWS: Final = N("OVERLAP_MIN_ROWS", 500, "rows", P, "A list is compared with others from")
OVERLAP_SAMPLE: Final = N("OVERLAP_SAMPLE", 20_000, "rows", P, "Addresses of a list that are compared, at most")
OVERLAP_NOISE: Final = N("OVERLAP_NOISE", 0.015, "share", P, "Bounds of that comparison are blurred by up to")
DOMAINS_SAMPLE: Final = N("DOMAINS_SAMPLE", 400, "addresses", P, "Addresses of a list whose domain is looked up")
LIST_POOL_D: Final = N("LIST_POOL_D", 14, "days", "SRC-SIZE-JUMP", "Uploads of so many days count as one")
D = "CONSENT-DOI"
SIGNUP_AGAIN_D: Final = N("SIGNUP_AGAIN_D", 7, "days", D, "One confirmation mail an address and list in")
SIGNUP_MAILS_PER_ADDRESS: Final = N("SIGNUP_MAILS_PER_ADDRESS", 3, "a day", D, "Confirmation mails to one address")
SIGNUPS_PER_NETWORK: Final = N("SIGNUPS_PER_NETWORK", 60, "an hour", D, "Sign-ups from one network")
SIGNUPS_PER_NETWORK_SLOW: Final = N("SIGNUPS_PER_NETWORK_SLOW", 5, "an hour", D, "The same without JavaScript")
SIGNUPS_PER_FORM_SLOW: Final = N("SIGNUPS_PER_FORM_SLOW", 60, "an hour", D, "Sign-ups by one form without JavaScript")
SIGNUP_WORK_BITS: Final = N("SIGNUP_WORK_BITS", 15, "bits", D, "Work that a visitor's browser does before a sign-up")
SIGNUP_CONFIRM_D: Final = N("SIGNUP_CONFIRM_D", 7, "days", D, "A sign-up can be confirmed for")
C = "SEND-CANARY"
CANARY_FROM: Final = N("CANARY_FROM", 500, "people", C, "A new or risky list is first mailed to a sample from")
CANARY_SHARE: Final = N("CANARY_SHARE", 0.02, "share", C, "That sample")
CANARY_MIN: Final = N("CANARY_MIN", 100, "people", C, "That sample, at least")
CANARY_MAX: Final = N("CANARY_MAX", 1000, "people", C, "That sample, at most")
CANARY_WAIT_H: Final = N("CANARY_WAIT_H", 4, "hours", C, "The rest waits after the sample for")
CANARY_COMPLAINTS: Final = N(
    "CANARY_COMPLAINTS", 2, "people", C, "Complaints that stop the rest, among 1,000 people or fewer"
)
CANARY_STEP_1: Final = N("CANARY_STEP_1", 0.05, "share", C, "Behind a clean sample: part of the list mailed first")
CANARY_STEP_2: Final = N("CANARY_STEP_2", 0.25, "share", C, "Behind that: part of the list mailed next, then all")
MARKS_MONTHS: Final = N("MARKS_MONTHS", 24, "months", "DATA-RETENTION", "Keyed marks of uploaded addresses are kept")

# --- Messages
HTML_WARN_KB: Final = N("HTML_WARN_KB", 90, "KB", "CONTENT-SIZE", "HTML size that brings advice")
HTML_MAX_KB: Final = N("HTML_MAX_KB", 100, "KB", "CONTENT-SIZE", "HTML size, at most")
MSG_MAX_KB: Final = N("MSG_MAX_KB", 500, "KB", "CONTENT-SIZE", "Message size, at most")
LINE_MAX: Final = N("LINE_MAX", 998, "octets", "CONTENT-SIZE", "Line length, at most", "RFC 5322 section 2.1.1")
LOCALPART_MAX: Final = N(
    "LOCALPART_MAX", 64, "octets", "SRC-SYNTAX", "Local part, at most", "RFC 5321 section 4.5.3.1.1"
)
DKIM_MIN_BITS: Final = N("DKIM_MIN_BITS", 2048, "bits", "ID-DKIM", "Signing key, at least", "RFC 8301")
DKIM_X_DAYS: Final = N("DKIM_X_DAYS", 10, "days", "ID-DKIM", "A signature counts for")
FOOTER_MIN_PX: Final = N("FOOTER_MIN_PX", 9, "px", "CANSPAM-POSTAL-ADDRESS", "Address and unsubscribe: size, at least")
FOOTER_MIN_CONTRAST: Final = N(
    "FOOTER_MIN_CONTRAST", 3.0, "to 1", "CANSPAM-POSTAL-ADDRESS", "Address and unsubscribe: contrast, at least"
)
TEXT_MIN_SHARE: Final = N(
    "TEXT_MIN_SHARE", 0.5, "share", "CONTENT-TEXTPART", "Words of the page that the text part has"
)
HIDDEN_MAX_CHARS: Final = N("HIDDEN_MAX_CHARS", 200, "characters", "CONTENT-HIDDEN", "Hidden text, at most")
MERGE_SAMPLES: Final = N("MERGE_SAMPLES", 20, "people", "CONTENT-MERGE", "Messages written for trial before a check")
TEST_SENDS_PER_H: Final = N("TEST_SENDS_PER_H", 20, "an hour", "SEND-RAMP", "Test messages to oneself")
TYPED_COUNT_ABOVE: Final = N("TYPED_COUNT_ABOVE", 1000, "people", "SEND-CONFIRM", "The number of people is typed above")
FIGURES_AGE_MIN: Final = N(
    "FIGURES_AGE_MIN", 10, "minutes", "SEND-CONFIRM", "Counts of a long list that a campaign is approved on, at most"
)
APPROVED_GROWTH: Final = N(
    "APPROVED_GROWTH", 0.001, "share", "SEND-CONFIRM", "More people than were approved that are asked about again"
)
WARNED_VOLUME_SHARE: Final = N("WARNED_VOLUME_SHARE", 0.5, "share", "ABUSE-RESPONSE", "Allowance left after a warning")

# --- Strikes and the abuse desk
STRIKE_D: Final = N("STRIKE_D", 90, "days", "ABUSE-RESPONSE", "A strike counts for")
SUSPENSIONS_BLOCK: Final = N("SUSPENSIONS_BLOCK", 3, "times", "ABUSE-RESPONSE", "Suspensions that suggest a block")
SUSPENSIONS_MONTHS: Final = N("SUSPENSIONS_MONTHS", 12, "months", "ABUSE-RESPONSE", "Suspensions are counted over")
CLEAN_CAMPAIGNS: Final = N("CLEAN_CAMPAIGNS", 2, "campaigns", "ABUSE-RESPONSE", "Clean campaigns that end a warning")
JUDGED_D: Final = N("JUDGED_D", 7, "days", "ABUSE-RATES", "Rates of an organization are counted over")
REPORT_MAX_KB: Final = N("REPORT_MAX_KB", 1024, "KB", "ABUSE-CONTACT", "Source of a reported message, at most")
REPORTS_PER_NETWORK: Final = N("REPORTS_PER_NETWORK", 20, "an hour", "ABUSE-CONTACT", "Reports from one network")
REPORTS_PER_ADDRESS: Final = N("REPORTS_PER_ADDRESS", 5, "a day", "ABUSE-CONTACT", "Reports that name one address")
INSPECTIONS_PER_NETWORK: Final = N(
    "INSPECTIONS_PER_NETWORK", 120, "an hour", "ABUSE-CONTACT", "Header checks from one network"
)
LOOKUPS_PER_NETWORK: Final = N(
    "LOOKUPS_PER_NETWORK", 30, "an hour", "ABUSE-CONTACT", "Look-ups of a report from one network"
)
LETTERS_PER_ADDRESS: Final = N(
    "LETTERS_PER_ADDRESS", 3, "a day", "ABUSE-CONTACT", "Letters about reports to one address"
)
BURST_REPORTS: Final = N("BURST_REPORTS", 5, "an hour", "ABUSE-RATES", "Reports from one network that count as one")
CLAIM_LOCK_MIN: Final = N(
    "CLAIM_LOCK_MIN", 30, "minutes", "ABUSE-RESPONSE", "A case stays with the person who took it for"
)

# --- How long things are kept
RET_EVIDENCE_Y: Final = N(
    "RET_EVIDENCE_Y", 5, "years", "DATA-RETENTION", "Statements, checks, decisions after last use"
)
RET_SENDLOG_MONTHS: Final = N("RET_SENDLOG_MONTHS", 24, "months", "DATA-RETENTION", "Who got which message")
RET_RAW_D: Final = N("RET_RAW_D", 180, "days", "DATA-RETENTION", "Raw mail that came back")
RET_SMTP_D: Final = N("RET_SMTP_D", 90, "days", "DATA-RETENTION", "Logs of mail and web servers")
RET_CASE_Y: Final = N("RET_CASE_Y", 3, "years", "DATA-RETENTION", "Cases after they close")
RET_SUPPRESSION: Final = N(
    "RET_SUPPRESSION",
    "for ever, as a keyed hash",
    "",
    "DATA-RETENTION",
    "The do-not-mail list",
    "GDPR 21(3), unconfirmed",
)

NUMBERS: Final[tuple[Number, ...]] = tuple(_numbers)
