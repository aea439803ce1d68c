"""Forms of accounts, one module a subject."""

from accounts.forms.domains import DomainForm, FromAddressForm, MailRecordsForm
from accounts.forms.people import SettingsForm
from accounts.forms.signup import SignupForm
from accounts.forms.team import AgreeForm, CloseForm, InviteForm, OrganizationForm, RoleForm
from accounts.forms.verification import BusinessForm, PracticeForm, SubmitForm

__all__ = [
    "AgreeForm",
    "BusinessForm",
    "CloseForm",
    "DomainForm",
    "FromAddressForm",
    "InviteForm",
    "MailRecordsForm",
    "OrganizationForm",
    "PracticeForm",
    "RoleForm",
    "SettingsForm",
    "SignupForm",
    "SubmitForm",
]
