"""Addresses of this app."""

from django.urls import URLPattern, path

from compliance.views import do_not_mail, imports, lists, people, proof, signups, sources, uploads

urlpatterns: list[URLPattern] = [
    path("portal/lists/", lists.all_lists, name="lists"),
    path("portal/lists/new/", lists.list_new, name="list_new"),
    path("portal/lists/upload/file/", uploads.upload_file, name="upload_file"),
    path("portal/lists/upload/columns/<uuid:uid>/", uploads.upload_columns, name="upload_columns"),
    path("portal/lists/upload/consent/<uuid:uid>/", uploads.upload_consent, name="upload_consent"),
    path("portal/lists/upload/sources/<uuid:uid>/", sources.upload_sources, name="upload_sources"),
    path("portal/lists/upload/check/<uuid:uid>/", uploads.upload_check, name="upload_check"),
    path("portal/lists/upload/seen/<uuid:uid>/", uploads.upload_seen, name="upload_seen"),
    path("portal/lists/upload/cancel/<uuid:uid>/", uploads.upload_cancel, name="upload_cancel"),
    path("portal/lists/upload/result/<uuid:uid>/", uploads.upload_result, name="upload_result"),
    path("portal/lists/<uuid:uid>/", lists.list_detail, name="list_detail"),
    path("portal/lists/<uuid:uid>/close/", lists.list_close, name="list_close"),
    path("portal/lists/<uuid:uid>/form/", signups.signup_form, name="signup_form"),
    path("sign-up/<uuid:uid>/", signups.signup, name="signup"),
    path("sign-up/confirm/<str:token>/", signups.signup_confirm, name="signup_confirm"),
    path("portal/lists/<uuid:uid>/add/", people.contact_add, name="contact_add"),
    path("portal/people/<uuid:uid>/", people.contact_detail, name="contact_detail"),
    path("portal/people/<uuid:uid>/remove/", people.contact_remove, name="contact_remove"),
    path("portal/imports/<uuid:uid>/", imports.import_detail, name="import_detail"),
    path("portal/imports/<uuid:uid>/proof/", proof.import_proof, name="import_proof"),
    path("portal/imports/<uuid:uid>/rows/", imports.import_rows, name="import_rows"),
    path("portal/imports/<uuid:uid>/undo/", imports.import_undo, name="import_undo"),
    path("portal/imports/<uuid:uid>/rows.csv", imports.import_rows_csv, name="import_rows_csv"),
    path("portal/imports/<uuid:uid>/evidence/<int:pk>/", sources.import_evidence, name="import_evidence"),
    path("portal/imports/<uuid:uid>/page/", sources.import_page_copy, name="import_page_copy"),
    path("portal/imports/<uuid:uid>/statement/", imports.import_statement, name="import_statement"),
    path("portal/imports/<uuid:uid>/rows/<int:line>/", imports.import_row, name="import_row"),
    path("portal/do-not-mail/", do_not_mail.do_not_mail, name="do_not_mail"),
    path("portal/do-not-mail/bring/", do_not_mail.do_not_mail_bring, name="do_not_mail_bring"),
    path("portal/do-not-mail/file/", do_not_mail.do_not_mail_export, name="do_not_mail_export"),
]
