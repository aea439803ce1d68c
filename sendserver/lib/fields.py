"""One form field as the pages show it: label, hint and error before the input, tied to it by `aria-describedby`.

Used by `{% field %}` and by the crispy template pack's `bootstrap5/field.html`, so both look the same.
"""

from __future__ import annotations

from django import forms
from django.forms.boundfield import BoundField
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

CHOICES = (forms.RadioSelect, forms.CheckboxSelectMultiple)


def render_fields(form: forms.BaseForm) -> SafeString:
    """Return every field of a form, hidden ones included, without the error summary."""
    return mark_safe("".join(render_field(field) for field in form))


def render_field(field: BoundField, classes: str = "", **attrs: str) -> SafeString:
    """Return one field; further keywords become attributes of the input (underscores turn into hyphens)."""
    if field.is_hidden:
        return mark_safe(str(field))
    widget = field.field.widget
    if isinstance(widget, CHOICES):
        return _choices(field)
    if isinstance(widget, forms.CheckboxInput):
        return _checkbox(field)
    return _plain(field, classes, {name.replace("_", "-"): value for name, value in attrs.items()})


def render_errors(form: forms.BaseForm) -> SafeString:
    """Return the summary of what to correct, which takes focus; nothing when the form has no errors."""
    links = [(f"#{_target(field)}", error) for field in form for error in messages(field)]
    general = [("", str(error)) for error in form.non_field_errors()]
    if not links and not general:
        return mark_safe("")
    items = format_html_join("", "<li>{}</li>", ((_summary_line(to, text),) for to, text in general + links))
    count = len(links) + len(general)
    title = "One thing to correct" if count == 1 else f"{count} things to correct"
    return format_html(
        '<div class="s-errors" role="alert" tabindex="-1" aria-labelledby="errors-title" data-errors>'
        '<h2 id="errors-title">{}</h2><ul>{}</ul></div>',
        title,
        items,
    )


def messages(field: BoundField) -> list[str]:
    """Return what is wrong with a field, saying how to correct it where Django's own words do not."""
    return [_reworded(field, str(error)) for error in field.errors]


def _reworded(field: BoundField, error: str) -> str:
    if error == "This field is required.":
        return _asked_for(field)
    if error in ("Enter a valid email address.", "Enter a valid e-mail address."):
        return "Enter an e-mail address like name@example.com"
    return error


def _asked_for(field: BoundField) -> str:
    """Return what to do about an empty field, from its label."""
    label, widget = str(field.label), field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        return "Tick the box to go on"
    if label.endswith("?"):
        return f"Answer: {label}"
    chosen = isinstance(widget, (*CHOICES, forms.Select, forms.FileInput))
    spoken = label[:1].lower() + label[1:] if label[1:2].islower() else label
    return f"{'Choose' if chosen else 'Enter'} {spoken}"


def _summary_line(to: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', to, text) if to else format_html("{}", text)


def _target(field: BoundField) -> str:
    """Return the id that a link to this field goes to: the first input of a group."""
    return f"{field.auto_id}_0" if isinstance(field.field.widget, CHOICES) else field.auto_id


def _hint(field: BoundField) -> SafeString:
    if not field.help_text:
        return mark_safe("")
    return format_html('<span class="s-hint" id="{}_helptext">{}</span>', field.auto_id, mark_safe(field.help_text))


def _error(field: BoundField) -> SafeString:
    if not field.errors:
        return mark_safe("")
    text = format_html_join(mark_safe("<br>"), "{}", ((error,) for error in messages(field)))
    return format_html('<p class="invalid-feedback" id="{}_error">{}</p>', field.auto_id, text)


def described_by(field: BoundField) -> str:
    """Return the ids of hint and error, parted by a space."""
    ids = [f"{field.auto_id}_helptext"] if field.help_text else []
    return " ".join(ids + ([f"{field.auto_id}_error"] if field.errors else []))


def _attrs(field: BoundField) -> dict[str, str | bool]:
    """Return the attributes that tie an input to its words and mark it as wrong."""
    attrs: dict[str, str | bool] = {"aria-describedby": described_by(field)} if described_by(field) else {}
    if field.errors:
        attrs["aria-invalid"] = "true"
    return attrs


def _plain(field: BoundField, classes: str, attrs: dict[str, str]) -> SafeString:
    base = "form-select" if isinstance(field.field.widget, forms.Select) else "form-control"
    own = field.field.widget.attrs.get("class", "")
    wanted = " ".join(part for part in (base, own, classes, "is-invalid" if field.errors else "") if part)
    html = field.as_widget(attrs={**_attrs(field), **attrs, "class": wanted})
    return format_html(
        '<div class="s-field{}"><label class="form-label" for="{}">{}{}</label>{}{}{}</div>',
        " s-field--error" if field.errors else "",
        field.id_for_label,
        field.label,
        _optional(field),
        _hint(field),
        _error(field),
        html,
    )


def _optional(field: BoundField) -> SafeString:
    """Mark what may stay empty; everything else is asked for."""
    if field.field.required:
        return mark_safe("")
    return mark_safe(' <span class="muted fw-4">(optional)</span>')


def _checkbox(field: BoundField) -> SafeString:
    small = format_html('<small id="{}_helptext">{}</small>', field.auto_id, mark_safe(field.help_text))
    return format_html(
        '<div class="s-field{}">{}<label class="s-choice">{}<span>{}{}</span></label></div>',
        " s-field--error" if field.errors else "",
        _error(field),
        field.as_widget(attrs=_attrs(field)),
        field.label,
        small if field.help_text else "",
    )


def _choices(field: BoundField) -> SafeString:
    """Return a group of radio buttons or boxes; a choice's label may be "bold | small"."""
    rows = format_html_join("", "{}", ((_choice(option),) for option in field.subwidgets))
    described = format_html(' aria-describedby="{}"', described_by(field)) if described_by(field) else ""
    return format_html(
        '<fieldset class="{}"{}><legend>{}{}</legend>{}{}{}</fieldset>',
        "s-field--error" if field.errors else "",
        described,
        field.label,
        _optional(field),
        _hint(field),
        _error(field),
        rows,
    )


def _choice(option: object) -> SafeString:
    text = str(option.choice_label)  # type: ignore[attr-defined]
    words_of = mark_safe if isinstance(text, SafeString) else str  # a label may hold a link, such as to a rule
    bold, small = (words_of(part) for part in (*text.split(" | ", 1), "")[:2])
    words = format_html("<b>{}</b><small>{}</small>", bold, small) if small else format_html("<b>{}</b>", bold)
    return format_html('<label class="s-choice">{}<span>{}</span></label>', option.tag(), words)  # type: ignore[attr-defined]
