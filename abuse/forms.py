"""Forms of the abuse desk: the public report, a look-up, notes, the customer's answer and appeal."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms

from abuse import matching, references
from abuse.models import Appeal, Complaint
from compliance import policy, sealed_files
from compliance.errors import FileRefusedError

K = Complaint.Kind
KINDS: Final = (
    (K.UNWANTED, "I do not want it | You know the sender, and did not ask for this mail"),
    (K.NEVER_SIGNED_UP, "I never signed up | You do not know this sender, or never gave them your address"),
    (K.CANNOT_STOP, "I unsubscribed and it still comes | We treat this as urgent"),
    (K.PHISHING, "It pretends to be someone else | A fake bank, parcel, login or invoice"),
    (K.ILLEGAL, "It is illegal or harmful | Threats, scams, malware, content about children"),
    (K.OTHER, "Something else | Tell us in your own words below"),
)
SHARE: Final = (
    (
        "no",
        "No, keep it private | The sender learns that a complaint came in, not from whom. "
        "Your address is still blocked for them.",
    ),
    ("yes", "Yes, so they can look up what went wrong"),
)


class ReportForm(forms.Form):
    """The public report; nothing but the kind is asked for, though something must say which mail is meant."""

    kind = forms.ChoiceField(
        label="What is wrong with it?", choices=KINDS, widget=forms.RadioSelect, initial=K.UNWANTED
    )
    token = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    raw = forms.CharField(
        required=False,
        label="Paste the full message source",
        strip=False,
        help_text="The headers at the top are enough. They let us find the exact message and the sender behind it.",
        widget=forms.Textarea(attrs={"spellcheck": "false", "rows": 10, "class": "s-mono"}),
    )
    eml = forms.FileField(
        required=False,
        label="Or upload the message as a file",
        help_text="Saved from your mail program, such as message.eml. At most 1 MB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".eml,message/rfc822,text/plain"}),
    )
    text = forms.CharField(
        required=False,
        label="Anything else we should know?",
        max_length=8000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    email = forms.EmailField(
        required=False,
        label="Your e-mail address",
        max_length=254,
        help_text="Only to send you the outcome. Without it you can still follow the report with its reference.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    never_platform = forms.BooleanField(
        required=False,
        label="Never again from anyone who sends through us",
        help_text="Blocks your address for every sender here, not just for this one.",
    )
    share = forms.ChoiceField(
        label="May we show the sender which address complained?",
        choices=SHARE,
        widget=forms.RadioSelect,
        initial="no",
    )

    def clean_eml(self) -> bytes:
        """Return the file's first megabyte; a bigger one is refused."""
        upload = self.cleaned_data.get("eml")
        if not upload:
            return b""
        if upload.size > matching.MAX_BYTES:
            raise forms.ValidationError("This file is over 1 MB. Paste the headers instead; they are enough.")
        content: bytes = upload.read(matching.MAX_BYTES)
        return content

    def clean_raw(self) -> str:
        """Refuse a source over the limit."""
        raw: str = self.cleaned_data["raw"]
        if len(raw) > matching.MAX_BYTES:
            raise forms.ValidationError("This is over 1 MB. The headers at the top are enough.")
        return raw

    def clean(self) -> dict[str, Any]:
        """Ask for anything that says which mail is meant."""
        data: dict[str, Any] = super().clean() or {}
        named = any(data.get(name) for name in ("token", "raw", "eml", "text"))
        if not named and not self.errors:
            raise forms.ValidationError("Paste the message source, or tell us what you know about the mail.")
        return data

    def source(self) -> bytes:
        """Return the message's source as bytes, pasted or uploaded."""
        return self.cleaned_data["eml"] or self.cleaned_data["raw"].encode()


class FindForm(forms.Form):
    """Look up a report by reference and key."""

    reference = forms.CharField(label="Reference", max_length=20, help_text="Such as AB-7K4M-29QX.")
    key = forms.CharField(
        label="Key",
        max_length=64,
        help_text="The letters and digits after “k=” in the private link that you got with the reference.",
    )

    def clean_reference(self) -> str:
        """Return the reference in its written form."""
        return references.clean(self.cleaned_data["reference"])


class NoteForm(forms.Form):
    """A note on a report."""

    text = forms.CharField(label="Your note", max_length=4000, widget=forms.Textarea(attrs={"rows": 4}))


class AnswerForm(forms.Form):
    """The customer's answer to a case."""

    text = forms.CharField(
        label="Your answer",
        max_length=8000,
        help_text="What happened, when and how the person agreed, and what you changed.",
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class FilesField(forms.FileField):
    """Several files of one field; each is looked at by its first bytes."""

    def clean(self, data: Any, initial: Any = None) -> list[tuple[str, bytes]]:
        """Return name and bytes of each file, or raise in words."""
        uploads = [one for one in (data if isinstance(data, list | tuple) else [data]) if one]
        if len(uploads) > policy.EVIDENCE_FILES:
            raise forms.ValidationError(f"Up to {policy.EVIDENCE_FILES} files can be added.")
        try:
            return [(one.name or "", sealed_files.take(one.chunks())) for one in uploads]
        except FileRefusedError as error:
            raise forms.ValidationError(str(error)) from error


class FilesInput(forms.FileInput):
    """A file input that takes several."""

    allow_multiple_selected = True


class AppealForm(forms.ModelForm):
    """The customer's appeal."""

    attached = FilesField(
        label="Files",
        required=False,
        widget=FilesInput,
        help_text=f"Screenshots, scans or logs: up to {policy.EVIDENCE_FILES}, PNG, JPEG, PDF or text, at most "
        f"{policy.EVIDENCE_MB} MB each. Staff read them, nobody else.",
    )

    class Meta:
        model = Appeal
        fields: ClassVar = ["ground", "text"]
        labels: ClassVar = {"ground": "What should change?", "text": "Your reasons"}
        help_texts: ClassVar = {"text": "In your own words. Name dates, and say where we can see them."}
        widgets: ClassVar = {"ground": forms.RadioSelect, "text": forms.Textarea(attrs={"rows": 6})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ground"].choices = (  # type: ignore[attr-defined]
            (Appeal.Ground.FACTS, "The facts are different | It did not happen like this"),
            (Appeal.Ground.RULE, "The rule does not fit | It happened, but the rule does not apply"),
            (Appeal.Ground.MEASURE, "The measure is too hard | It happened, but this is too much"),
        )
