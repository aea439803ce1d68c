"""Tags and further columns: what there is, one tag, on a person, on a whole list."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from compliance import contact_fields, policy, tag_orders, tags, tasks
from compliance.errors import TagRefusedError
from compliance.forms_segments import ListTagForm, TagForm
from compliance.models import Contact, ContactField, ContactList, ListMembership, Tag, TagOrder
from compliance.views import poke

PAGE = 50


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def all_tags(request: PortalRequest) -> HttpResponse:
    """Show the tags and the further columns; take a new tag from those who may."""
    may = has_right(request.membership, Right.LISTS)
    if request.method == "POST" and not may:
        return HttpResponse(status=403)
    form = TagForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = tags.create(request.org, form.cleaned_data["name"], actor=request.user)
        except TagRefusedError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"The tag “{made.name}” is there. Give it on a person’s page or a list’s.")
            return redirect("tags")
    rows = Tag.objects.for_org(request.org).order_by("key")
    context = {
        "form": form,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "fields": [(row, contact_fields.WORDS[row.kind]) for row in contact_fields.all_of(request.org)],
        "may_change": may,
        "most": policy.TAGS_MAX,
    }
    return render(request, "compliance/tags.html", context)


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def tag_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show a tag and the people who have it; rename it."""
    tag = get_object_for(request, Tag, uid)
    may = has_right(request.membership, Right.LISTS)
    if request.method == "POST" and not may:
        return HttpResponse(status=403)
    form = TagForm(request.POST if request.method == "POST" else None, initial={"name": tag.name})
    if request.method == "POST" and form.is_valid():
        try:
            tags.rename(tag, form.cleaned_data["name"], actor=request.user)
        except TagRefusedError as error:
            form.add_error("name", str(error))
            tag.refresh_from_db()
        else:
            messages.success(request, "Renamed.")
            return redirect("tag_detail", tag.uid)
    context = {
        "tag": tag,
        "form": form,
        "members": tags.some_people(tag, PAGE),
        "shown": PAGE,
        "segments": tags.using(tag),
        "working": TagOrder.objects.filter(tag=tag, done_at=None).exists(),
        "may_change": may,
    }
    return render(request, "compliance/tag.html", context)


@portal_view(Right.LISTS)
@require_POST
def tag_delete(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Delete a tag and take it from everybody."""
    tag = get_object_for(request, Tag, uid)
    try:
        tags.delete(tag, actor=request.user)
    except TagRefusedError as error:
        messages.error(request, str(error))
        return redirect("tag_detail", tag.uid)
    messages.success(request, f"The tag “{tag.name}” is deleted. The people stay.")
    return redirect("tags")


@portal_view(Right.LISTS)
@require_POST
def contact_tags(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Give a person tags, or take the one that `take` names."""
    contact = get_object_for(request, Contact, uid)
    if "take" in request.POST:
        tag = get_object_for(request, Tag, as_uid(request.POST["take"]))
        if tags.take([contact], tag, actor=request.user):
            messages.success(request, f"“{tag.name}” is taken off.")
        return redirect("contact_detail", contact.uid)
    try:
        names = tags.split(request.POST.get("give", ""))
        tags.give([contact], names, actor=request.user)
    except TagRefusedError as error:
        messages.error(request, f"Not tagged. {error}")
    else:
        (messages.success if names else messages.error)(
            request, f"Tagged: {', '.join(names) or 'nothing was entered'}."
        )
    return redirect("contact_detail", contact.uid)


@portal_view(Right.LISTS)
@require_POST
def list_tags(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Give or take one tag: of the people ticked, or of everybody on the list."""
    found = get_object_for(request, ContactList, uid)
    form = ListTagForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Nothing was changed. {next(iter(form.errors.values()))[0]}")
        return redirect("list_detail", found.uid)
    try:
        tag = _tag(request, form)
    except TagRefusedError as error:
        messages.error(request, f"Nothing was changed. {error}")
        return redirect("list_detail", found.uid)
    gives = form.cleaned_data["act"] == "give"
    if form.cleaned_data["who"] == "all":
        _everybody(request, tag, found, gives=gives)
    else:
        _ticked(request, tag, found, gives=gives)
    return redirect("list_detail", found.uid)


def _tag(request: PortalRequest, form: ListTagForm) -> Tag:
    """Return the tag that was typed, made where it is to be given and not there yet."""
    name = form.cleaned_data["name"]
    found = Tag.objects.for_org(request.org).filter(key=tags.key_of(name)).first()
    if found is not None:
        return found
    if form.cleaned_data["act"] == "take":
        raise TagRefusedError(f"There is no tag “{name}”.")
    return tags.create(request.org, name, actor=request.user)


def _everybody(request: PortalRequest, tag: Tag, found: ContactList, *, gives: bool) -> None:
    order = tag_orders.order(tag, found, gives=gives, actor=request.user)
    word = "tagged" if gives else "no longer tagged"
    if tag_orders.go_on(order, seconds=tag_orders.AT_ONCE):
        messages.success(request, f"Everybody on {found.name} is {word} “{tag.name}”.")
        return
    poke(tasks.carry_tag_orders, order.pk)
    messages.success(request, f"{found.name} is long: its people are {word} “{tag.name}” within minutes.")


def _ticked(request: PortalRequest, tag: Tag, found: ContactList, *, gives: bool) -> None:
    uids = [as_uid(text) for text in request.POST.getlist("person")[:PAGE]]
    on_list = ListMembership.objects.filter(contact_list=found).values("contact_id")
    people = list(Contact.objects.for_org(request.org).filter(uid__in=uids, pk__in=on_list))
    if not people:
        messages.error(request, "Nothing was changed. Tick people first, or choose everybody.")
        return
    count = tags.give(people, [tag.name], actor=request.user) if gives else tags.take(people, tag, actor=request.user)
    word = "got" if gives else "lost"
    messages.success(request, f"{count:,} of {len(people):,} ticked {word} “{tag.name}”.")


@portal_view(Right.LISTS)
@require_POST
def field_text(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Let a further column be text from now on."""
    field = get_object_for(request, ContactField, uid)
    if contact_fields.make_text(field, actor=request.user):
        messages.success(request, f"“{field.name}” is text now. Conditions that compared it otherwise hold for nobody.")
    return redirect("tags")


def as_uid(text: str) -> UUID:
    """Return a uid from outside; one that nobody has where the text is none."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
