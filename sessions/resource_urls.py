from django.urls import path

from sessions import overbook_views, resource_views

app_name = "resources"
urlpatterns = [
    path("clinic/sites/", resource_views.site_list, name="sites"),
    path("clinic/sites/<uuid:public_id>/", resource_views.site, name="site"),
    path("clinic/misfits/", resource_views.misfit_list, name="misfits"),
    path("clinic/people/", resource_views.person_list, name="people"),
    path("clinic/people/<uuid:public_id>/", resource_views.person, name="person"),
    path("plans/<uuid:public_id>/overbook/", overbook_views.plan_overbook, name="plan_overbook"),
    path("appointments/<uuid:public_id>/overbook/", overbook_views.appointment_overbook, name="appointment_overbook"),
]
