"""The addresses of the director’s pages of sites and people."""

from django.urls import path

from sessions.sites import views

app_name = "resources"
urlpatterns = [
    path("clinic/sites/", views.site_list, name="sites"),
    path("clinic/sites/<uuid:public_id>/", views.site, name="site"),
    path("clinic/misfits/", views.misfit_list, name="misfits"),
    path("clinic/people/", views.person_list, name="people"),
    path("clinic/people/<uuid:public_id>/", views.person, name="person"),
]
