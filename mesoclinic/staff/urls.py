"""The addresses of the pages of staff."""

from django.urls import path

from mesoclinic.staff import views

app_name = "accounts"
urlpatterns = [
    path("here/", views.here, name="here"),
    path("again/", views.again, name="again"),
    path("site/", views.site_choose, name="site"),
    path("language/", views.language_choose, name="language"),
    path("staff/", views.staff_list, name="staff"),
    path("staff/new/", views.staff_new, name="staff_new"),
    path("staff/<uuid:public_id>/", views.staff_edit, name="staff_edit"),
    path("staff/<uuid:public_id>/deactivate/", views.staff_deactivate, name="staff_deactivate"),
    path("staff/<uuid:public_id>/activate/", views.staff_activate, name="staff_activate"),
    path("staff/<uuid:public_id>/password/", views.staff_password, name="staff_password"),
]
